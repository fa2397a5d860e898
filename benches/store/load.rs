//! The load: people who take turns as fast as they are stored, and one who looks around.

use crate::dice::Dice;
use crate::fill::{STEPS, Talk, WORDS, answer, by_time};
use deepme::domain::prompt::{Language, PromptName};
use deepme::domain::step::{FinishReason, Marks, StepStatus, StepType};
use deepme::domain::time::SystemClock;
use deepme::domain::usage::Tokens;
use deepme::domain::{Clock as _, Result, SessionId, StepId, UserId};
use deepme::store::{BeginStep, Begun, FinishStep, Store};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the server asks for by default (`llm.history_steps`).
const HISTORY: u32 = 200;

/// Microseconds, sorted.
pub(crate) struct Spread(Vec<f64>);

impl Spread {
    pub(crate) fn of(mut micros: Vec<f64>) -> Self {
        micros.sort_unstable_by(f64::total_cmp);
        Self(micros)
    }

    pub(crate) fn p(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let at = (last as f64 * share).round() as usize;
        self.0.get(at).copied().unwrap_or(0.0)
    }
}

/// How fast the disk under `directory` commits: 4 KiB appended and synced, again and again.
pub(crate) fn disk(directory: &Path, lasting: Duration) -> (f64, Spread) {
    let mut file = tempfile::tempfile_in(directory).unwrap();
    let page = [7; 4096];
    let mut took = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < lasting {
        let one = Instant::now();
        file.write_all(&page).unwrap();
        file.sync_data().unwrap();
        took.push(micros(one));
    }
    let rate = took.len() as f64 / begun.elapsed().as_secs_f64();
    (rate, Spread::of(took))
}

fn micros(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e6
}

/// What a crowd came to.
pub(crate) struct Tally {
    pub(crate) per_second: f64,
    pub(crate) turn: Spread,
    pub(crate) failed: usize,
}

/// As many people at once, each turn after turn and a new session after some of them, without a pause.
pub(crate) async fn crowd(store: &Arc<dyn Store>, people: &[UserId], lasting: Duration) -> Tally {
    let begun = Instant::now();
    let running: Vec<_> = people
        .iter()
        .map(|user| {
            let (store, user) = (Arc::clone(store), *user);
            tokio::spawn(async move {
                let (mut took, mut failed) = (Vec::new(), 0);
                while begun.elapsed() < lasting {
                    let session = SessionId(by_time(SystemClock.now().as_micros()));
                    for n in 0..STEPS {
                        let one = Instant::now();
                        match turn(&*store, (user, session), n == 0).await {
                            Ok(()) => took.push(micros(one)),
                            Err(_) => failed += 1,
                        }
                    }
                }
                (took, failed)
            })
        })
        .collect();
    let (mut all, mut failed) = (Vec::new(), 0);
    for person in running {
        let (took, mishaps) = person.await.unwrap();
        all.extend(took);
        failed += mishaps;
    }
    Tally {
        per_second: all.len() as f64 / begun.elapsed().as_secs_f64(),
        turn: Spread::of(all),
        failed,
    }
}

/// What the store sees of a turn: three commits and a look back.
async fn turn(store: &dyn Store, (user_id, session_id): Talk, new_session: bool) -> Result<()> {
    let at = SystemClock.now();
    let step_id = StepId(by_time(at.as_micros()));
    let lease_until = at.plus(Duration::from_mins(1));
    let begun = store
        .begin_step(BeginStep {
            step_id,
            session_id,
            user_id,
            new_session,
            step_type: StepType::default(),
            user_input: WORDS.to_owned(),
            message_id: None,
            marks: Marks {
                emotion: Some("A".repeat(95)),
                correction: None,
                safety_tier: Some("A".repeat(66)),
            },
            at,
            lease_until,
            quota: Some(i64::MAX),
        })
        .await?;
    let Begun::Started { step_order } = begun else {
        unreachable!("nobody else speaks in this session: {begun:?}")
    };
    let prompts = vec![
        PromptName::System(Language::Korean),
        PromptName::Personal(user_id),
    ];
    let briefing = store
        .briefing(session_id, step_order, HISTORY, prompts)
        .await?;
    assert_eq!(briefing.history.len() as i64, step_order - 1);
    let answer = answer();
    let half = answer.chars().take(answer.chars().count() / 2).collect();
    store.checkpoint_step(step_id, half, lease_until).await?;
    let finished = store
        .finish_step(FinishStep {
            step_id,
            gpt_response: answer,
            status: StepStatus::Complete,
            finish_reason: Some(FinishReason::Stop),
            model: Some("m".to_owned()),
            prompt_version: Some("ko@0".to_owned()),
            output_tokens: Some(90),
            safety_tier: None,
            charge: Tokens {
                input: 900,
                output: 90,
            },
            at,
        })
        .await?;
    assert!(finished.is_some(), "the turn was pending");
    Ok(())
}

/// What one caller waits for, asking about anything of what is stored.
pub(crate) struct Looks {
    pub(crate) sessions: Spread,
    pub(crate) session: Spread,
    pub(crate) steps: Spread,
    pub(crate) turn: Spread,
}

/// One call after the other, each about another person or session. The first fifth does not count:
/// connections, statements and caches warm up.
pub(crate) async fn look_around(store: &dyn Store, talks: &[Talk], samples: usize) -> Looks {
    let mut dice = Dice::new(1);
    let mut talk = || talks[dice.below(talks.len())];
    let warm = samples / 5;
    let (mut sessions, mut session, mut steps, mut turns) = (vec![], vec![], vec![], vec![]);
    for n in 0..samples + warm {
        let (user, _) = talk();
        let one = Instant::now();
        let found = store.sessions(user, None, Some(20)).await.unwrap();
        keep(&mut sessions, micros(one), n >= warm);
        assert!(!found.is_empty());

        let (user, id) = talk();
        let one = Instant::now();
        let found = store.session(user, id).await.unwrap();
        keep(&mut session, micros(one), n >= warm);
        assert!(found.is_some());

        let (user, id) = talk();
        let one = Instant::now();
        let found = store.steps(user, id, 0, Some(50)).await.unwrap();
        keep(&mut steps, micros(one), n >= warm);
        assert!(found.is_some_and(|steps| steps.len() as i64 >= STEPS));
    }
    // Turns write, so there are fewer of them, after the reads.
    for n in 0..(samples + warm) / 4 {
        let talk = talk();
        let one = Instant::now();
        turn(store, talk, false).await.unwrap();
        keep(&mut turns, micros(one), n >= warm / 4);
    }
    Looks {
        sessions: Spread::of(sessions),
        session: Spread::of(session),
        steps: Spread::of(steps),
        turn: Spread::of(turns),
    }
}

fn keep(into: &mut Vec<f64>, micros: f64, counts: bool) {
    if counts {
        into.push(micros);
    }
}
