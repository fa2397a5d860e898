//! Two versions of the server's prompt beside each other.

use crate::support::{Person, Server};
use deepme::config::Config;
use deepme::domain::prompt::ab::Split;
use deepme::domain::prompt::{Language, PromptName};
use deepme::llm::scripted::answer;

const KO: PromptName = PromptName::System(Language::Korean);

/// The configuration with so many of 100 people on the version.
fn with(version: i64, percent: u8) -> Config {
    let mut config = Config::default();
    config.prompts.ab.ko = Split { version, percent };
    config
}

/// Says something; what the model was told, and what the step remembers of it.
async fn told(server: &Server, person: &Person) -> (String, Option<String>) {
    let (mut talk, session) = person.connect(None).await;
    server.script(answer(&["네"]));
    talk.input("안녕").await;
    talk.turn().await;
    let steps = person.client.steps(session.session_id).await.unwrap();
    let asked = server.model.asked();
    let system = asked.last().unwrap().messages[0].content.clone();
    (system, steps[0].prompt_version.clone())
}

#[tokio::test]
async fn a_part_of_the_people_is_told_the_earlier_version() {
    let server = Server::start().await;
    for body in ["FIRST", "SECOND"] {
        server.app.set_prompt(KO, body).await.unwrap();
    }
    server.app.adopt(&with(1, 50));
    let split = server.app.settings().prompts.ab.ko;
    let (mut first, mut second) = (0, 0);
    for n in 0.. {
        let person = server.person(&format!("person{n}")).await;
        let heard = told(&server, &person).await;
        if split.takes(KO, person.user_id) {
            assert_eq!(heard, ("FIRST".into(), Some("ko@1".into())));
            first += 1;
        } else {
            assert_eq!(heard, ("SECOND".into(), Some("ko@2".into())));
            second += 1;
        }
        // And in another session.
        assert_eq!(told(&server, &person).await, heard);
        if first > 0 && second > 0 {
            break;
        }
    }
    let tallies = server.app.tally_prompts(1).await.unwrap();
    let counts: Vec<_> = tallies
        .iter()
        .map(|tally| (tally.prompt_version.as_str(), tally.people, tally.turns))
        .collect();
    assert_eq!(
        counts,
        [("ko@1", first, 2 * first), ("ko@2", second, 2 * second)]
    );
}

#[tokio::test]
async fn a_version_that_is_not_there_leaves_everybody_with_the_newest() {
    let server = Server::start().await;
    server.app.set_prompt(KO, "FIRST").await.unwrap();
    let jiwoo = server.person("jiwoo").await;
    let gone = with(7, 100);
    let refused = server.app.check_ab(gone.prompts.ab).await.unwrap_err();
    assert_eq!(
        refused.message(),
        "prompts.ab.ko.version is 7, and the prompt ko has no such version: deepme prompt history ko"
    );
    server.app.adopt(&gone);
    assert_eq!(told(&server, &jiwoo).await.1.as_deref(), Some("ko@1"));
    // The one that comes with the program is always there.
    let program = with(0, 100);
    server.app.check_ab(program.prompts.ab).await.unwrap();
    server.app.adopt(&program);
    assert_eq!(told(&server, &jiwoo).await.1.as_deref(), Some("ko@0"));
    // Nobody is nobody, whatever the version.
    server.app.check_ab(with(7, 0).prompts.ab).await.unwrap();
}
