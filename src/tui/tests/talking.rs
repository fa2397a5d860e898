//! Turns as they go when nothing is lost, and words that are refused.

use super::*;

#[test]
fn a_turn_from_the_words_to_the_end() {
    let mut world = World::talking();
    world.say("안녕");
    assert_eq!(world.sent(), [say_frame("안녕", "m1")]);
    assert_eq!(world.entries()[0].phase, Phase::Waiting);
    world.frame(accepted(1, Some("m1"), "안녕"));
    world.tell(Msg::Clock(NOW.plus(Duration::from_millis(420))));
    world.frame(token("그랬"));
    world.frame(token("군요"));
    world.tell(Msg::Clock(NOW.plus(Duration::from_millis(900))));
    world.frame(done(1, StepStatus::Complete));
    let [entry] = world.entries() else { panic!() };
    assert_eq!((entry.answer.as_str(), entry.received), ("그랬군요", 4));
    assert_eq!(entry.phase, Phase::Over(StepStatus::Complete));
    let last = world.chat().last.as_ref().unwrap();
    assert_eq!(last.first, Some(Duration::from_millis(420)));
    assert_eq!(
        (last.total, last.tokens),
        (Duration::from_millis(900), Some(42))
    );
    assert_eq!(world.take(), []);
    // And another one.
    world.say("더");
    assert_eq!(world.sent(), [say_frame("더", "m2")]);
}

#[test]
fn while_an_answer_comes_one_can_type_but_not_send_and_stop_it() {
    let mut world = World::answering("그");
    world.say("다음");
    assert_eq!(world.take(), []);
    assert_eq!(world.banner(), world.model.texts.busy);
    assert_eq!(world.chat().editor.text(), "다음");
    world.key(KeyCode::Esc);
    assert_eq!(world.take(), [Effect::Send(ClientFrame::Stop)]);
    world.frame(notice("incomplete"));
    world.frame(done(1, StepStatus::Cancelled));
    assert_eq!(world.entries()[0].phase, Phase::Over(StepStatus::Cancelled));
    world.key(KeyCode::Enter);
    assert_eq!(world.sent(), [say_frame("다음", "m2")]);
}

#[test]
fn lines_are_made_without_sending() {
    let mut world = World::talking();
    world.write("a");
    world.tell(Msg::Key(KeyEvent::new(KeyCode::Enter, KeyModifiers::ALT)));
    world.control('j');
    world.tell(Msg::Paste("b\r\nc\u{1b}[31m\u{1112}\u{1161}".to_owned()));
    assert_eq!(world.chat().editor.text(), "a\n\nb\nc하");
    world.key(KeyCode::Enter);
    assert_eq!(world.sent(), [say_frame("a\n\nb\nc하", "m1")]);
    world.write("  ");
    world.key(KeyCode::Enter);
    assert_eq!(world.take(), []);
}

#[test]
fn turns_of_other_devices_are_seen() {
    let mut world = World::talking();
    world.frame(accepted(1, Some("theirs"), "폰에서"));
    world.frame(token("네"));
    world.say("여기서");
    assert_eq!(world.banner(), world.model.texts.busy);
    world.frame(done(1, StepStatus::Complete));
    let [entry] = world.entries() else { panic!() };
    assert_eq!(
        (entry.words.as_deref(), entry.answer.as_str()),
        (Some("폰에서"), "네")
    );
}

#[test]
fn a_failed_turn_says_so_and_the_next_one_can_begin() {
    let mut world = World::talking();
    world.say("안녕");
    world.frame(accepted(1, Some("m1"), "안녕"));
    world.frame(failed(1));
    assert_eq!(world.entries()[0].phase, Phase::Over(StepStatus::Failed));
    assert!(world.entries()[0].error.is_some());
    world.take();
    world.say("다시");
    assert_eq!(world.sent(), [say_frame("다시", "m2")]);
}

#[test]
fn words_that_are_refused_come_back_into_the_input() {
    for (code, field) in [("invalid_input", Some("user_input")), ("too_many", None)] {
        let mut world = World::talking();
        world.say("안녕");
        world.write("그리고");
        let error = ErrorFrame {
            field: field.map(str::to_owned),
            ..error(code, Some(false))
        };
        world.frame(ServerFrame::Error { error });
        assert!(world.entries().is_empty());
        assert_eq!(world.chat().editor.text(), "안녕\n그리고");
        assert!(world.banner().starts_with(world.model.texts.given_back));
    }
}

#[test]
fn words_that_are_refused_for_a_moment_are_sent_again_under_the_same_name() {
    for (code, stored) in [
        ("overloaded", Some(false)),
        ("turn_in_progress", Some(false)),
        ("unavailable", None),
    ] {
        let mut world = World::talking();
        world.say("안녕");
        world.take();
        world.frame(refused(code, stored, Some(3)));
        world.wait(2);
        assert_eq!(world.sent(), [], "{code}");
        world.wait(1);
        assert_eq!(world.sent(), [say_frame("안녕", "m1")], "{code}");
    }
}

#[test]
fn an_error_about_a_late_stop_does_not_touch_the_words() {
    let mut world = World::answering("그");
    world.key(KeyCode::Esc);
    world.frame(done(1, StepStatus::Complete));
    world.say("다음");
    world.frame(refused("not_found", None, None));
    assert_eq!(world.entries().len(), 2);
    world.frame(accepted(2, Some("m2"), "다음"));
    assert_eq!(world.entries().len(), 2);
}

#[test]
fn a_session_that_ended_elsewhere_gives_the_words_to_the_next_one() {
    let mut world = World::talking();
    world.say("안녕");
    world.frame(refused("session_ended", Some(false), None));
    assert!(world.chat().ended);
    world.key(KeyCode::F(3));
    assert_eq!(world.chat().editor.text(), "안녕");
    assert!(!world.chat().ended);
}

#[test]
fn help_in_need_stays_until_more_is_said() {
    let mut world = World::talking();
    world.say("사라지고 싶어");
    world.frame(accepted(1, Some("m1"), "사라지고 싶어"));
    world.frame(safety());
    world.frame(token("곁에 있어요"));
    // As after a resume.
    world.frame(safety());
    world.frame(done(1, StepStatus::Complete));
    assert!(world.chat().safety.is_some());
    world.say("고마워");
    assert!(world.chat().safety.is_none());
    assert!(world.entries()[0].safety.is_some());
    // Even when the words are refused.
    world.frame(safety());
    world.frame(refused("too_many", Some(false), None));
    assert!(world.chat().safety.is_some());
}

#[test]
fn notices_belong_to_their_turn_and_are_told_once() {
    let mut world = World::answering("그");
    for _ in 0..2 {
        world.frame(notice("context_trimmed"));
        world.frame(notice("incomplete"));
    }
    assert_eq!(world.entries()[0].notices.len(), 1);
    world.frame(notice("draining"));
    assert_eq!(world.banner(), world.model.texts.draining);
}
