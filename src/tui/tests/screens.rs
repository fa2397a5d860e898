//! Pictures of every screen, and every size.
//!
//! Owns the snapshots. What it proves: what the screens look like in both languages, that the
//! cursor is where one types, and that no size makes the view fail.

use super::super::model::Overlay;
use super::super::view::view;
use super::*;
use crate::domain::emotion::{Emotion, Reading};
use crate::domain::flow::MarkedStep;
use crate::domain::safety::Tier;
use crate::domain::step::Marks;
use crate::wire::insight::FlowBody;
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Position;

/// The screen as text; a `▏` marks the terminal's cursor in the row below the picture.
fn picture(world: &mut World, width: u16, height: u16) -> String {
    world.tell(Msg::Resize(width, height));
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view(&world.model, frame)).unwrap();
    let Position { x, y } = terminal.get_cursor_position().unwrap();
    let buffer = terminal.backend().buffer();
    let mut rows = Vec::new();
    for y in 0..height {
        let mut row = String::new();
        let mut skip = 0;
        for x in 0..width {
            let symbol = buffer[(x, y)].symbol();
            if skip == 0 {
                row.push_str(symbol);
                skip = super::super::text::width(symbol).max(1);
            }
            skip -= 1;
        }
        rows.push(row.trim_end().to_owned());
    }
    format!("{}\n[cursor {x},{y}]", rows.join("\n"))
}

fn conversation() -> World {
    let mut world = World::talking();
    let steps = vec![
        step(
            1,
            "요즘 기분이 별로야 😔",
            "그랬군요. 어떤 일이 마음에 남아 있나요?",
            StepStatus::Complete,
        ),
        step(
            2,
            "회사에서 실수를 했어.\n아무도 뭐라 안 했는데 자꾸 생각나",
            "",
            StepStatus::Failed,
        ),
        step(
            3,
            "👩‍👩‍👧 가족한테도 말 못 했어",
            "혼자 안고",
            StepStatus::Cancelled,
        ),
    ];
    world.tell(Msg::Steps(session_id(1), Ok(steps)));
    world.say("그냥 피곤해");
    world.frame(accepted(4, Some("m1"), "그냥 피곤해"));
    world.frame(notice("context_trimmed"));
    world.tell(Msg::Clock(NOW.plus(Duration::from_secs(3))));
    world.frame(token(
        "많이 지치셨네요 🇰🇷❤️. 오늘 하루 중에 잠깐이라도 숨 돌릴 틈이 있었을까요? ",
    ));
    world.frame(token("\u{1b}[31m빨강\u{1b}[0m 아님."));
    world
}

#[test]
fn login() {
    let mut world = World::new(Language::Korean);
    world.model.local = Some("이 프로세스 안의 서버".to_owned());
    world.write("jiwoo@example.com");
    world.key(KeyCode::Tab);
    world.write("비밀번호1");
    insta::assert_snapshot!(picture(&mut world, 60, 16));
}

#[test]
fn register_with_an_error() {
    let mut world = World::new(Language::English);
    world.key(KeyCode::F(2));
    for text in ["Jiwoo", "jiwoo@example.com", "long enough"] {
        world.write(text);
        world.key(KeyCode::Tab);
    }
    world.key(KeyCode::Enter);
    world.tell(Msg::LoggedIn(Err(problem(
        409,
        "email_taken",
        Some("email"),
    ))));
    insta::assert_snapshot!(picture(&mut world, 60, 18));
}

#[test]
fn session_list() {
    for (language, name) in [(Language::Korean, "ko"), (Language::English, "en")] {
        let mut world = World::logged_in(language);
        world.tell(Msg::Sessions(Ok(vec![
            listed(1, Some("이직 고민"), 5, false),
            listed(2, None, 90, false),
            listed(
                3,
                Some("잠이 오지 않는 밤과 그다음 날 아침에 대해서 \u{202e}길게"),
                60 * 30,
                true,
            ),
        ])));
        world.key(KeyCode::Down);
        insta::assert_snapshot!(format!("session_list_{name}"), picture(&mut world, 72, 12));
    }
}

#[test]
fn chat_while_an_answer_comes() {
    let mut world = conversation();
    world.write("다음 말을 적는 중 👩‍👩‍👧");
    insta::assert_snapshot!(picture(&mut world, 60, 30));
}

#[test]
fn chat_in_english_after_an_answer() {
    let mut world = World::logged_in(Language::English);
    world.key(KeyCode::Enter);
    world.connected();
    world.say("I feel low");
    world.frame(accepted(1, Some("m1"), "I feel low"));
    world.tell(Msg::Clock(NOW.plus(Duration::from_millis(420))));
    world.frame(token("That sounds heavy. What happened?"));
    world.tell(Msg::Clock(NOW.plus(Duration::from_millis(2300))));
    world.frame(done(1, StepStatus::Complete));
    world.model.local = Some("server in this process".to_owned());
    insta::assert_snapshot!(picture(&mut world, 80, 14));
}

#[test]
fn chat_without_a_connection() {
    let mut world = conversation();
    world.link(LinkEvent::Closed(1006));
    world.link(LinkEvent::Refused(ClientError::Network(
        "Connection refused".to_owned(),
    )));
    insta::assert_snapshot!(picture(&mut world, 60, 14));
}

#[test]
fn help_in_need() {
    let mut world = World::talking();
    world.say("사라지고 싶어");
    world.frame(accepted(1, Some("m1"), "사라지고 싶어"));
    world.frame(safety());
    world.frame(token("말해 줘서 고마워요."));
    insta::assert_snapshot!("help_in_need", picture(&mut world, 60, 18));
    insta::assert_snapshot!("help_in_need_small", picture(&mut world, 20, 6));
    world.frame(done(1, StepStatus::Complete));
    world.say("응");
    insta::assert_snapshot!("help_in_need_later", picture(&mut world, 60, 18));
}

#[test]
fn scrolled_up_with_news_below() {
    let mut world = conversation();
    world.tell(Msg::Resize(60, 14));
    world.key(KeyCode::PageUp);
    world.frame(token(" 더"));
    insta::assert_snapshot!(picture(&mut world, 60, 14));
}

#[test]
fn help() {
    let mut world = conversation();
    world.key(KeyCode::F(1));
    insta::assert_snapshot!("help_ko", picture(&mut world, 80, 24));
    let mut world = World::logged_in(Language::English);
    world.key(KeyCode::F(1));
    insta::assert_snapshot!("help_en", picture(&mut world, 80, 24));
}

/// A conversation whose moods were these: step, label, unsure.
fn felt() -> FlowBody {
    use Emotion::{Calm, Even, Joy, Lonely, Sad};
    let labels = [Sad, Lonely, Sad, Even, Sad, Sad, Calm, Joy, Calm, Joy, Sad];
    let steps = (1..).zip(labels).map(|(n, first)| {
        let reading = Reading {
            first,
            second: None,
            valence: first.valence(),
            confidence: 70,
            unsure: n == 4,
        };
        MarkedStep {
            step_id: step_id(n),
            session_id: session_id(1),
            step_order: i64::try_from(n).unwrap(),
            created_at: NOW,
            marks: Marks::of(&reading, Tier::None),
        }
    });
    FlowBody::of(session_id(1), steps.collect(), false)
}

#[test]
fn the_flow_of_a_conversation() {
    let mut world = conversation();
    world.take();
    world.key(KeyCode::F(6));
    assert_eq!(world.take(), [Effect::LoadFlow(session_id(1))]);
    assert!(picture(&mut world, 80, 24).contains("불러오는 중"));
    // That of another one comes too late.
    world.tell(Msg::Flow(session_id(2), Ok(felt())));
    assert!(picture(&mut world, 80, 24).contains("불러오는 중"));
    world.tell(Msg::Flow(session_id(1), Ok(felt())));
    insta::assert_snapshot!("flow_ko", picture(&mut world, 80, 24));
    world.key(KeyCode::Esc);
    assert_eq!(world.model.overlay, None);
    // From the list, and when there is nothing.
    let mut world = World::logged_in(Language::English);
    world.tell(Msg::Sessions(Ok(vec![listed(1, None, 5, false)])));
    world.key(KeyCode::Down);
    world.take();
    world.write("f");
    assert_eq!(world.take(), [Effect::LoadFlow(session_id(1))]);
    world.tell(Msg::Flow(session_id(1), Ok(felt())));
    insta::assert_snapshot!("flow_en_small", picture(&mut world, 40, 16));
    world.key(KeyCode::Esc);
    world.write("f");
    let nothing = FlowBody::of(session_id(1), Vec::new(), false);
    world.tell(Msg::Flow(session_id(1), Ok(nothing)));
    assert!(picture(&mut world, 40, 16).contains("nothing to show"));
    world.key(KeyCode::Esc);
    world.write("f");
    world.tell(Msg::Flow(
        session_id(1),
        Err(problem(503, "unavailable", None)),
    ));
    assert_eq!(world.model.overlay, None);
    assert!(world.model.banner.is_some());
    // Nothing was said in a new conversation.
    let mut world = World::talking();
    world.key(KeyCode::F(6));
    assert_eq!((world.model.overlay, world.take()), (None, Vec::new()));
}

#[test]
fn the_question_before_the_end() {
    let mut world = conversation();
    world.key(KeyCode::F(4));
    insta::assert_snapshot!(picture(&mut world, 60, 14));
}

#[test]
fn the_smallest_terminal() {
    let mut world = conversation();
    world.write("두 줄이\n되는 말");
    insta::assert_snapshot!("smallest_chat", picture(&mut world, 20, 6));
    let mut world = World::new(Language::Korean);
    world.key(KeyCode::Tab);
    insta::assert_snapshot!("smallest_form", picture(&mut world, 20, 6));
    let mut world = World::logged_in(Language::Korean);
    insta::assert_snapshot!("smallest_list", picture(&mut world, 20, 6));
}

#[test]
fn the_cursor_stands_where_the_next_letter_will_be() {
    let mut world = World::talking();
    world.write("가나다");
    assert!(picture(&mut world, 40, 12).ends_with("[cursor 8,10]"));
    world.key(KeyCode::Left);
    assert!(picture(&mut world, 40, 12).ends_with("[cursor 6,10]"));
    world.control('j');
    assert!(picture(&mut world, 40, 12).ends_with("[cursor 2,10]"));
    // A full row goes on in the next one before the letter is there.
    let mut world = World::talking();
    world.write(&"가".repeat(18));
    assert!(picture(&mut world, 40, 12).ends_with("[cursor 38,10]"));
    world.write("나");
    assert!(picture(&mut world, 40, 12).ends_with("[cursor 4,10]"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn no_size_makes_the_view_fail(width in 1u16..40, height in 1u16..16, at in 0u8..5, up in 0u8..4) {
        let mut world = match at {
            0 => World::new(Language::Korean),
            1 => World::logged_in(Language::English),
            _ => conversation(),
        };
        if at == 2 {
            world.frame(safety());
            world.model.overlay = Some(Overlay::End(session_id(1)));
        }
        if at == 4 {
            world.model.overlay = Some(Overlay::Flow(session_id(1)));
            world.model.flow = Some(felt());
        }
        if at == 3 {
            world.frame(safety());
            world.write("세 줄\n이 되는\n말 👩‍👩‍👧");
        }
        world.tell(Msg::Resize(width, height));
        for _ in 0..up {
            world.key(KeyCode::PageUp);
            world.tell(Msg::Wheel(-1));
        }
        picture(&mut world, width, height);
        // The model and the terminal disagree for a moment when the window is resized.
        world.tell(Msg::Resize(height, width));
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| view(&world.model, frame)).unwrap();
    }
}
