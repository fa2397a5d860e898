//! Prompts: versions only grow, and a person's own are theirs.

use super::{Backend, at, finished, person, talk, words};
use deepme::domain::UserId;
use deepme::domain::prompt::ab::Tally;
use deepme::domain::prompt::{Language, PERSONAL_KEPT, PromptName};
use deepme::domain::step::StepStatus;
use futures_util::future::join_all;
use uuid::Uuid;

const KO: PromptName = PromptName::System(Language::Korean);
const EN: PromptName = PromptName::System(Language::English);

pub async fn versions_count_up_and_the_newest_counts(backend: &dyn Backend) {
    let store = backend.open().await;
    assert_eq!(store.prompt(KO, None).await.unwrap(), None);
    assert_eq!(store.prompt_history(KO).await.unwrap(), []);
    assert_eq!(store.prompts().await.unwrap(), []);
    let mut saved = Vec::new();
    for (n, body) in ["하나", "둘 👩‍👩‍👧\n", "하나"].iter().enumerate() {
        let time = at(n as u64);
        let prompt = store
            .add_prompt(KO, (*body).to_owned(), time)
            .await
            .unwrap();
        assert_eq!((prompt.name, prompt.body.as_str()), (KO, *body));
        assert_eq!(prompt.version, i64::try_from(n).unwrap() + 1);
        assert_eq!(prompt.created_at, Some(time));
        assert_eq!(
            store.prompt(KO, None).await.unwrap().as_ref(),
            Some(&prompt)
        );
        saved.insert(0, prompt);
    }
    assert_eq!(store.prompt_history(KO).await.unwrap(), saved);
    assert_eq!(
        store.prompt(KO, Some(2)).await.unwrap().as_ref(),
        Some(&saved[1])
    );
    for version in [-1, 0, 4] {
        assert_eq!(store.prompt(KO, Some(version)).await.unwrap(), None);
    }
    assert_eq!(store.prompt(EN, None).await.unwrap(), None);
    let english = store.add_prompt(EN, "one".into(), at(0)).await.unwrap();
    assert_eq!(english.version, 1);
    assert_eq!(store.prompts().await.unwrap(), [english, saved[0].clone()]);
}

pub async fn racers_get_versions_of_their_own(backend: &dyn Backend) {
    let (store, other) = (backend.open().await, backend.open().await);
    let adding = (0..20).map(|n| {
        let store = if n % 2 == 0 { &store } else { &other };
        store.add_prompt(KO, format!("{n}"), at(0))
    });
    let saved = join_all(adding).await;
    let mut versions: Vec<i64> = saved.into_iter().map(|p| p.unwrap().version).collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..=20).collect::<Vec<_>>());
}

pub async fn a_persons_prompt_is_theirs_and_can_be_forgotten(backend: &dyn Backend) {
    let store = backend.open().await;
    let mine = PromptName::Personal(person(&*store, 1).await);
    let yours = PromptName::Personal(person(&*store, 2).await);
    store
        .add_prompt(mine, "반말로".into(), at(0))
        .await
        .unwrap();
    store
        .add_prompt(mine, "존댓말로".into(), at(1))
        .await
        .unwrap();
    assert_eq!(store.prompt(yours, None).await.unwrap(), None);
    let your = store.add_prompt(yours, "짧게".into(), at(2)).await.unwrap();
    assert!(store.delete_prompt(mine).await.unwrap());
    assert!(!store.delete_prompt(mine).await.unwrap());
    assert_eq!(store.prompt(mine, None).await.unwrap(), None);
    assert_eq!(store.prompt(mine, Some(1)).await.unwrap(), None);
    assert_eq!(store.prompt_history(mine).await.unwrap(), []);
    assert_eq!(store.prompts().await.unwrap(), [your]);
}

pub async fn the_newest_versions_of_a_personal_prompt_are_kept(backend: &dyn Backend) {
    let store = backend.open().await;
    let mine = PromptName::Personal(person(&*store, 1).await);
    for n in 1..=PERSONAL_KEPT + 3 {
        for name in [mine, KO] {
            let added = store.add_prompt(name, n.to_string(), at(0)).await.unwrap();
            assert_eq!((added.version, added.body), (n, n.to_string()));
        }
    }
    let versions = async |name| {
        let history = store.prompt_history(name).await.unwrap();
        history.iter().map(|p| p.version).collect::<Vec<_>>()
    };
    let newest_first = |oldest| (oldest..=PERSONAL_KEPT + 3).rev().collect::<Vec<_>>();
    assert_eq!(versions(mine).await, newest_first(4));
    assert_eq!(versions(KO).await, newest_first(1), "the server's own stay");
}

pub async fn a_personal_prompt_needs_its_person(backend: &dyn Backend) {
    let store = backend.open().await;
    let nobody = PromptName::Personal(UserId(Uuid::from_u128(5)));
    assert!(store.add_prompt(nobody, "x".into(), at(0)).await.is_err());
    assert_eq!(store.prompts().await.unwrap(), []);
}

pub async fn turns_are_tallied_by_the_prompt_that_was_told(backend: &dyn Backend) {
    let store = backend.open().await;
    assert_eq!(store.tally_prompts(at(0)).await.unwrap(), []);
    let (me, mine) = talk(&*store, 1).await;
    let (you, yours) = talk(&*store, 2).await;
    let said = async |(user, session), second, version: Option<&str>, status, tokens| {
        let mut begin = words(user, session, "말");
        begin.at = at(second);
        let mut finish = finished(begin.step_id, "네");
        finish.prompt_version = version.map(str::to_owned);
        finish.status = status;
        finish.output_tokens = tokens;
        store.begin_step(begin).await.unwrap();
        store.finish_step(finish).await.unwrap().unwrap();
    };
    let (whole, stopped) = (StepStatus::Complete, StepStatus::Cancelled);
    said((me, mine), 1, Some("ko@1"), whole, Some(10)).await;
    said((me, mine), 2, Some("ko@2+personal@7"), whole, Some(20)).await;
    said((me, mine), 3, Some("ko@2"), stopped, Some(41)).await;
    said((me, mine), 4, Some("en@0"), StepStatus::Failed, None).await;
    said((you, yours), 5, Some("ko@2"), StepStatus::Interrupted, None).await;
    said((you, yours), 6, None, StepStatus::Failed, None).await;
    // One that runs is none yet.
    store.begin_step(words(you, yours, "또")).await.unwrap();
    let tally =
        |version: &str, [people, turns, complete, cancelled, went_on]: [i64; 5], tokens| Tally {
            prompt_version: version.to_owned(),
            people,
            turns,
            complete,
            cancelled,
            went_on,
            output_tokens: tokens,
        };
    let english = tally("en@0", [1, 1, 0, 0, 0], None);
    let second = tally("ko@2", [2, 3, 1, 1, 3], Some(31));
    assert_eq!(
        store.tally_prompts(at(0)).await.unwrap(),
        [
            english.clone(),
            tally("ko@1", [1, 1, 1, 0, 1], Some(10)),
            second.clone()
        ]
    );
    assert_eq!(store.tally_prompts(at(2)).await.unwrap(), [english, second]);
    assert_eq!(store.tally_prompts(at(7)).await.unwrap(), []);
}
