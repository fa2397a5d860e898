//! Commits that take long: one whose outcome nobody learns (fault 12), and one that others overtake.

mod accounts;
mod insights;
mod prompts;
mod rights;
mod taken_back;

use crate::support::Server;
use deepme::config::Config;
use deepme::domain::keyring::WrappedKey;
use deepme::domain::meter::Load;
use deepme::domain::news::News;
use deepme::domain::prompt::PromptName;
use deepme::domain::session::EmotionSession;
use deepme::domain::step::{EmotionStep, MessageId};
use deepme::domain::usage::{Day, Usage};
use deepme::domain::user::{Email, User, UserFilter};
use deepme::domain::{Error, Result, SessionId, StepId, Timestamp, UserId};
use deepme::llm::scripted::answer;
use deepme::store::{BeginStep, Begun, Briefing, Bulletin, FinishStep, Fold, Store};
use deepme::wire::ws::{ClientFrame, Resume, ServerFrame};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Semaphore, broadcast};

#[tokio::test]
async fn fault_12_words_of_unknown_outcome_block_nothing_and_are_not_doubled() {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let server = Server::over(dir, Config::default(), None, |inner| {
        Arc::new(Unsure {
            unknown: AtomicBool::new(true),
            ..Unsure::over(inner)
        })
    })
    .await;
    let jiwoo = server.person("jiwoo").await;
    let (mut talk, session) = jiwoo.connect(None).await;
    talk.message("들어줘", "m1", None).await;
    let error = talk.error().await;
    assert_eq!(
        (error.code.as_str(), error.stored),
        ("unavailable", None),
        "nobody knows"
    );
    // What was stored behind everybody's back is taken back, and the session is free.
    while !jiwoo
        .client
        .steps(session.session_id)
        .await
        .unwrap()
        .is_empty()
    {
        tokio::task::yield_now().await;
    }
    server.script(answer(&["네"]));
    talk.message("들어줘", "m1", None).await;
    assert_eq!(talk.turn().await.text, "네");
    let steps = jiwoo.client.steps(session.session_id).await.unwrap();
    assert_eq!(steps.len(), 1);
    assert_eq!((steps[0].step_order, server.model.asked().len()), (1, 1));
}

/// A device that asks for the running turn while its words are just being committed hears of it
/// twice: by the answer to its question and by the news to all. It is told once.
#[tokio::test]
async fn a_turn_that_is_asked_for_while_it_begins_is_told_once() {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let slow = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&slow);
    let server = Server::over(dir, Config::default(), None, move |inner| {
        Arc::new(Unsure {
            slow: held,
            ..Unsure::over(inner)
        })
    })
    .await;
    let jiwoo = server.person("jiwoo").await;
    let (mut phone, session) = jiwoo.connect(None).await;
    let (mut tablet, _) = jiwoo.connect(Some(session.session_id)).await;
    server.script(answer(&["네, ", "들어요."]));
    phone.input("들어줘").await;
    // Until the words are in the database, and then until the question has surely arrived.
    while jiwoo.client.steps(session.session_id).await.is_err() {
        tokio::task::yield_now().await;
    }
    tablet.send(&ClientFrame::Resume(Resume::default())).await;
    for _ in 0..50 {
        jiwoo.client.health().await.unwrap();
    }
    slow.add_permits(1);
    assert_eq!(tablet.turn().await.text, "네, 들어요.");
    tablet.send_text(r#"{"ping": 1}"#).await;
    let next = tablet.frame().await;
    assert!(matches!(next, ServerFrame::Pong { .. }), "{next:?}");
    assert_eq!(phone.turn().await.text, "네, 들어요.");
}

/// News that come while the words of a turn are just being committed say nothing of it; who looks after news that
/// were missed finds it stored, and takes it for none of another instance.
#[tokio::test]
async fn a_turn_that_begins_while_news_are_missed_is_told_once() {
    let slow = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&slow);
    let news = Arc::new(Told(broadcast::Sender::new(4)));
    let bulletin = Arc::clone(&news) as Arc<dyn Bulletin>;
    let server = Server::over_hearing(bulletin, move |inner| {
        Arc::new(Unsure {
            slow: held,
            ..Unsure::over(inner)
        })
    })
    .await;
    let jiwoo = server.person("jiwoo").await;
    let (mut phone, session) = jiwoo.connect(None).await;
    server.script(answer(&["네, ", "들어요."]));
    phone.input("들어줘").await;
    while jiwoo.client.steps(session.session_id).await.is_err() {
        tokio::task::yield_now().await;
    }
    news.0.send(News::Missed).unwrap();
    // Until it has surely looked.
    for _ in 0..50 {
        jiwoo.client.health().await.unwrap();
    }
    slow.add_permits(1);
    assert!(matches!(phone.frame().await, ServerFrame::Accepted { .. }));
    assert_eq!(phone.turn().await.text, "네, 들어요.");
    phone.send_text(r#"{"ping": 1}"#).await;
    let next = phone.frame().await;
    assert!(matches!(next, ServerFrame::Pong { .. }), "{next:?}");
}

/// What other instances tell, in the place of PostgreSQL.
struct Told(broadcast::Sender<News>);

impl Bulletin for Told {
    fn post(&self, _: News) {}

    fn listen(&self) -> broadcast::Receiver<News> {
        self.0.subscribe()
    }
}

/// A store that stands between the server and its real one.
pub struct Unsure {
    pub inner: Arc<dyn Store>,
    /// A begin answers, and an account is deleted, when there is a permit here.
    pub slow: Arc<Semaphore>,
    /// A step is forgotten when there is a permit here, which it takes.
    pub forgetful: Arc<Semaphore>,
    /// Whether the next begin, or deletion of an account, is one whose outcome nobody learns.
    pub unknown: AtomicBool,
}

impl Unsure {
    /// One that holds nothing up yet.
    pub fn over(inner: Arc<dyn Store>) -> Self {
        Self {
            inner,
            slow: Arc::new(Semaphore::new(1)),
            forgetful: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            unknown: AtomicBool::new(false),
        }
    }
}

impl Store for Unsure {
    fn alive(&self) -> BoxFuture<'_, bool> {
        self.inner.alive()
    }

    fn load(&self) -> Load {
        self.inner.load()
    }

    fn schema_version(&self) -> BoxFuture<'_, Result<i64>> {
        self.inner.schema_version()
    }

    fn add_user(&self, user: User, password_hash: String) -> BoxFuture<'_, Result<()>> {
        self.inner.add_user(user, password_hash)
    }

    fn user(&self, user_id: UserId) -> BoxFuture<'_, Result<Option<User>>> {
        self.inner.user(user_id)
    }

    fn user_by_email(&self, email: Email) -> BoxFuture<'_, Result<Option<(User, String)>>> {
        self.inner.user_by_email(email)
    }

    fn users(
        &self,
        filter: UserFilter,
        before: Option<(Timestamp, UserId)>,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<User>>> {
        self.inner.users(filter, before, limit)
    }

    fn add_session(&self, session: EmotionSession) -> BoxFuture<'_, Result<()>> {
        self.inner.add_session(session)
    }

    fn session(
        &self,
        user_id: UserId,
        session_id: SessionId,
    ) -> BoxFuture<'_, Result<Option<EmotionSession>>> {
        self.inner.session(user_id, session_id)
    }

    fn claim_keys(&self, fingerprint: String) -> BoxFuture<'_, Result<String>> {
        self.inner.claim_keys(fingerprint)
    }

    fn claim_master(&self, id: String) -> BoxFuture<'_, Result<String>> {
        self.inner.claim_master(id)
    }

    fn replace_master(&self, old: String, new: String) -> BoxFuture<'_, Result<bool>> {
        self.inner.replace_master(old, new)
    }

    fn masters(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        self.inner.masters()
    }

    fn data_key(&self, user_id: UserId) -> BoxFuture<'_, Result<Option<WrappedKey>>> {
        self.inner.data_key(user_id)
    }

    fn add_data_key(&self, key: WrappedKey) -> BoxFuture<'_, Result<Option<WrappedKey>>> {
        self.inner.add_data_key(key)
    }

    fn rewrap_data_key(&self, old: WrappedKey, new: WrappedKey) -> BoxFuture<'_, Result<bool>> {
        self.inner.rewrap_data_key(old, new)
    }

    fn data_keys_besides(
        &self,
        master: String,
        after: Option<UserId>,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<WrappedKey>>> {
        self.inner.data_keys_besides(master, after, limit)
    }

    fn sessions(
        &self,
        user_id: UserId,
        before: Option<(Timestamp, SessionId)>,
        limit: Option<u32>,
    ) -> BoxFuture<'_, Result<Vec<EmotionSession>>> {
        self.inner.sessions(user_id, before, limit)
    }

    fn end_session(
        &self,
        user_id: UserId,
        session_id: SessionId,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<Option<EmotionSession>>> {
        self.inner.end_session(user_id, session_id, at)
    }

    fn begin_step(&self, begin: BeginStep) -> BoxFuture<'_, Result<Begun>> {
        Box::pin(async move {
            let begun = self.inner.begin_step(begin).await;
            drop(self.slow.acquire().await);
            if self.unknown.swap(false, Ordering::SeqCst) {
                return Err(Error::unavailable("the commit took too long"));
            }
            begun
        })
    }

    fn checkpoint_step(
        &self,
        step_id: StepId,
        gpt_response: String,
        lease_until: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        self.inner
            .checkpoint_step(step_id, gpt_response, lease_until)
    }

    fn finish_step(&self, finish: FinishStep) -> BoxFuture<'_, Result<Option<Usage>>> {
        self.inner.finish_step(finish)
    }

    fn fold(&self, fold: Fold) -> BoxFuture<'_, Result<bool>> {
        self.inner.fold(fold)
    }

    fn forget_usage(&self, day: Day) -> BoxFuture<'_, Result<u64>> {
        self.inner.forget_usage(day)
    }

    fn usage(&self, user_id: UserId, day: Day) -> BoxFuture<'_, Result<Usage>> {
        self.inner.usage(user_id, day)
    }

    fn acknowledge_step(&self, step_id: StepId) -> BoxFuture<'_, Result<bool>> {
        self.inner.acknowledge_step(step_id)
    }

    fn forget_step(&self, step_id: StepId, lease_until: Timestamp) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move {
            self.forgetful.acquire().await.unwrap().forget();
            self.inner.forget_step(step_id, lease_until).await
        })
    }

    fn close_orphans(&self, before: Timestamp, at: Timestamp) -> BoxFuture<'_, Result<u64>> {
        self.inner.close_orphans(before, at)
    }

    fn step(&self, user_id: UserId, step_id: StepId) -> BoxFuture<'_, Result<Option<EmotionStep>>> {
        self.inner.step(user_id, step_id)
    }

    fn find_step(
        &self,
        user_id: UserId,
        session_id: SessionId,
        message_id: Option<MessageId>,
    ) -> BoxFuture<'_, Result<Option<EmotionStep>>> {
        self.inner.find_step(user_id, session_id, message_id)
    }

    fn steps(
        &self,
        user_id: UserId,
        session_id: SessionId,
        after: i64,
        limit: Option<u32>,
    ) -> BoxFuture<'_, Result<Option<Vec<EmotionStep>>>> {
        self.inner.steps(user_id, session_id, after, limit)
    }

    fn briefing(
        &self,
        session_id: SessionId,
        before: i64,
        limit: u32,
        prompts: Vec<PromptName>,
    ) -> BoxFuture<'_, Result<Briefing>> {
        self.inner.briefing(session_id, before, limit, prompts)
    }
}
