//! Conversations that outgrow what a model reads: what is folded, and what happens when it cannot be.

use crate::support::{PATIENCE, Person, Server, Talk};
use deepme::config::Config;
use deepme::domain::prompt::{self, Language};
use deepme::domain::step::FinishReason;
use deepme::domain::transcript::Role;
use deepme::llm::scripted::{Act, Gate, Scripted, answer};
use deepme::llm::{ChatModel, ChatRequest, Fault, TokenStream};
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// Words of about 250 tokens, in which `n` can be found.
fn long(n: usize) -> String {
    format!("{n}번째 날에도 회사에서 있었던 일이 자꾸 떠올라서 잠을 설쳤어. ").repeat(8)
}

/// The system prompt has about 650 tokens, so that a few turns of [`long`] fit beside it.
const BUDGET: usize = 2000;

/// A model that plays its part in turns by one script and writes summaries by another.
#[derive(Default)]
struct Model {
    turns: Scripted,
    summaries: Scripted,
}

impl ChatModel for Model {
    fn name(&self) -> &'static str {
        "both"
    }

    fn ask(&self, request: ChatRequest) -> BoxFuture<'_, Result<TokenStream, Fault>> {
        if request.messages[0].content == prompt::summary(Language::Korean) {
            self.summaries.ask(request)
        } else {
            self.turns.ask(request)
        }
    }
}

struct Talker {
    model: Arc<Model>,
    jiwoo: Person,
    talk: Talk,
    server: Server,
}

async fn talker() -> Talker {
    let model = Arc::new(Model::default());
    let mut config = Config::default();
    config.llm.context_tokens = BUDGET;
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let models = vec![Arc::clone(&model) as Arc<dyn ChatModel>];
    let server = Server::on(dir, config, Some(models)).await;
    let jiwoo = server.person("jiwoo").await;
    let (talk, _) = jiwoo.connect(None).await;
    Talker {
        model,
        jiwoo,
        talk,
        server,
    }
}

impl Talker {
    /// A turn; whether something was left out for it.
    async fn say(&mut self, n: usize) -> bool {
        self.model.turns.add(answer(&["그랬군요."]));
        self.talk.input(&long(n)).await;
        let turn = self.talk.turn().await;
        assert_eq!(turn.done().finish_reason.unwrap().as_str(), "stop");
        turn.notices() == ["context_trimmed"]
    }

    /// What the model was given for the newest turn: the system prompt, and what the person said.
    fn given(&self) -> (String, Vec<String>) {
        let asked = self.model.turns.asked();
        let messages = &asked.last().unwrap().messages;
        let users = messages.iter().filter(|m| m.role == Role::User);
        let said = users.map(|m| m.content.clone()).collect();
        (messages[0].content.clone(), said)
    }

    /// Waits for something that happens beside the conversation.
    async fn until(&self, what: &str, happened: impl AsyncFn() -> bool) {
        let waiting = async {
            while !happened().await {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "{what}");
    }
}

fn has(said: &[String], n: usize) -> bool {
    said.iter()
        .any(|words| words.contains(&format!("{n}번째 날")))
}

#[tokio::test]
async fn what_no_longer_fits_is_folded_beside_the_conversation_and_told_to_the_model() {
    let mut talker = talker().await;
    let gate = Gate::default();
    talker.model.summaries.add(vec![
        Act::Say("회사 일로 ".to_owned()),
        Act::Wait(gate.clone()),
        Act::Say("여러 밤을 설쳤다.\0".to_owned()),
        Act::Counted(100_000, 10),
    ]);
    // Nobody waits for the summary: the conversation goes on while it is being written.
    for n in 1..=6 {
        talker.say(n).await;
    }
    let model = Arc::clone(&talker.model);
    let asked = async || model.summaries.asked().len() == 1;
    talker.until("a summary is asked for", asked).await;
    let request = model.summaries.asked().remove(0);
    let given = &request.messages[1].content;
    assert_eq!(request.messages.len(), 2);
    assert!(
        given.contains("1번째 날") && given.contains(r#""답":"그랬군요.""#),
        "{given}"
    );
    assert!(!given.contains("6번째 날"), "the newest stay as they are");
    let (system, _) = talker.given();
    assert!(!system.contains("여러 밤을"), "it is not there yet");
    gate.open();
    // Stored is charged: both are one transaction.
    let client = talker.jiwoo.client.clone();
    let stored = async || client.usage().await.unwrap().input_tokens > 100_000;
    talker.until("it is stored", stored).await;

    let left_out = talker.say(7).await;
    assert!(!left_out, "what is not shown is in the summary");
    let (system, said) = talker.given();
    assert!(system.starts_with("당신은 노아입니다."), "{system}");
    assert!(
        system.ends_with("<notes>\n회사 일로 여러 밤을 설쳤다.\n</notes>"),
        "{system}"
    );
    assert!(!has(&said, 1) && has(&said, 6) && has(&said, 7), "{said:?}");
    // The words themselves are all there.
    let sessions = client.sessions(talker.jiwoo.user_id, None).await.unwrap();
    let steps = client.steps(sessions[0].session_id).await.unwrap();
    let words: Vec<String> = steps.into_iter().map(|step| step.user_input).collect();
    assert_eq!(words, (1..=7).map(long).collect::<Vec<_>>());
}

/// The next summary is made from the one before and what came after it.
#[tokio::test]
async fn a_summary_grows_with_the_conversation() {
    let mut talker = talker().await;
    let model = Arc::clone(&talker.model);
    let client = talker.jiwoo.client.clone();
    for n in 1..=10 {
        let summary = vec![Act::Say(format!("{n}번째 요약")), Act::Counted(100_000, 10)];
        model.summaries.add(summary);
    }
    for n in 21..=34 {
        talker.say(n).await;
    }
    let stored = async || client.usage().await.unwrap().input_tokens > 200_000;
    talker.until("two are stored", stored).await;
    talker.say(35).await;
    assert!(talker.given().0.ends_with("번째 요약\n</notes>"));
    let asked = model.summaries.asked();
    let second = asked
        .iter()
        .find(|request| request.messages[1].content.contains("1번째 요약"))
        .expect("made from the one before");
    assert!(
        !second.messages[1].content.contains("21번째 날"),
        "told once"
    );
}

#[tokio::test]
async fn without_a_summary_the_window_alone_is_used_and_that_is_said() {
    let mut talker = talker().await;
    let mut left_out = false;
    for n in 1..=8 {
        left_out = talker.say(n).await;
    }
    assert!(left_out);
    let model = Arc::clone(&talker.model);
    let asked = async || !model.summaries.asked().is_empty();
    talker.until("a summary is asked for, in vain", asked).await;
    let (system, said) = talker.given();
    assert!(!system.contains("---"), "{system}");
    assert!(!has(&said, 1) && has(&said, 8), "{said:?}");
}

/// Half a summary would take the place of whole steps for ever.
#[tokio::test]
async fn a_summary_that_is_not_whole_is_not_kept() {
    for reason in [FinishReason::ContentFilter, FinishReason::Length] {
        let mut talker = talker().await;
        talker
            .model
            .summaries
            .add(vec![Act::Say("반만".to_owned()), Act::End(reason)]);
        for n in 1..=6 {
            talker.say(n).await;
        }
        let model = Arc::clone(&talker.model);
        let asked = async || model.summaries.asked().len() == 1;
        talker.until("a summary is asked for", asked).await;
        let mut left_out = false;
        for n in 7..=9 {
            left_out = talker.say(n).await;
        }
        assert!(left_out, "what is not shown is said");
        assert!(!talker.given().0.contains("반만"));
        // And it is not asked for again at once.
        assert_eq!(model.summaries.asked().len(), 1);
    }
}

/// Steps beyond what is read at a time are not forgotten without a word, and are folded like the rest.
#[tokio::test]
async fn what_is_older_than_the_history_is_folded() {
    let model = Arc::new(Model::default());
    let mut config = Config::default();
    config.llm.history_steps = 2;
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let models = vec![Arc::clone(&model) as Arc<dyn ChatModel>];
    let server = Server::on(dir, config, Some(models)).await;
    let jiwoo = server.person("jiwoo").await;
    let (talk, _) = jiwoo.connect(None).await;
    let mut talker = Talker {
        model: Arc::clone(&model),
        jiwoo,
        talk,
        server,
    };
    model.summaries.add(vec![
        Act::Say("첫날 이야기".to_owned()),
        Act::Counted(100_000, 10),
    ]);
    for n in 1..=3 {
        assert!(!talker.say(n).await, "{n}");
    }
    assert!(
        talker.say(4).await,
        "the first one is neither read nor folded"
    );
    let client = talker.jiwoo.client.clone();
    let stored = async || client.usage().await.unwrap().input_tokens > 100_000;
    talker.until("it is folded", stored).await;
    let asked = model.summaries.asked().remove(0);
    let given = &asked.messages[1].content;
    assert!(given.contains("1번째 날") && !given.contains("2번째 날"));
}

#[tokio::test]
async fn a_summary_that_is_being_written_holds_up_no_drain() {
    let mut talker = talker().await;
    talker.model.summaries.add(vec![Act::Hang]);
    for n in 1..=6 {
        talker.say(n).await;
    }
    let model = Arc::clone(&talker.model);
    let asked = async || !model.summaries.asked().is_empty();
    talker.until("a summary is asked for", asked).await;
    // Sooner than the deadline of a drain, which is longer than a test is patient.
    talker.server.shut_down().await;
}
