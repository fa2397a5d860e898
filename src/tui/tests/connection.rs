//! Connections that are lost, and what is done to miss nothing.

use super::super::link::{Asked, Link};
use super::*;
use crate::wire::ws::close;

#[test]
fn a_turn_is_resumed_where_it_was_lost() {
    let mut world = World::answering("가나");
    world.link(LinkEvent::Closed(1006));
    assert_eq!(world.connect_wait(), Some(Wait::Backoff(0)));
    assert!(matches!(
        world.chat().link,
        Link::Connecting { again: true, .. }
    ));
    world.frame(session(true, Some(running(1, Some("m1"), 4))));
    assert_eq!(
        world.take(),
        [
            Effect::LoadSteps(session_id(1)),
            Effect::Send(resume_frame(1, 2))
        ]
    );
    world.frame(resumed(1, 2, StepStatus::Pending));
    world.frame(token("다라"));
    world.frame(done(1, StepStatus::Complete));
    assert_eq!(world.entries()[0].answer, "가나다라");
}

#[test]
fn a_turn_that_ended_meanwhile_is_fetched_to_its_end() {
    let mut world = World::answering("가나");
    world.link(LinkEvent::Closed(1006));
    world.frame(session(true, None));
    assert!(world.sent().contains(&resume_frame(1, 2)));
    world.frame(resumed(1, 2, StepStatus::Complete));
    world.frame(token("다"));
    world.frame(done(1, StepStatus::Complete));
    assert_eq!(world.entries()[0].answer, "가나다");
    assert!(!world.chat().answering());
}

#[test]
fn text_is_replaced_when_the_server_begins_again() {
    let mut world = World::answering("가나다");
    world.link(LinkEvent::Closed(1006));
    world.frame(session(true, None));
    world.frame(resumed(1, 0, StepStatus::Interrupted));
    world.frame(token("가"));
    world.frame(done(1, StepStatus::Interrupted));
    assert_eq!(world.entries()[0].answer, "가");
    assert_eq!(
        world.entries()[0].phase,
        Phase::Over(StepStatus::Interrupted)
    );
}

#[test]
fn a_message_that_nobody_heard_is_said_again_under_the_same_name() {
    let mut world = World::talking();
    world.say("안녕");
    assert_eq!(world.sent(), [say_frame("안녕", "m1")]);
    world.link(LinkEvent::Closed(1006));
    world.connected();
    assert_eq!(world.sent(), [say_frame("안녕", "m1")]);
    // It had been heard after all.
    world.frame(accepted(1, Some("m1"), "안녕"));
    world.frame(resumed(1, 0, StepStatus::Pending));
    world.frame(token("네"));
    assert_eq!(world.entries().len(), 1);
    assert_eq!(world.entries()[0].answer, "네");
}

#[test]
fn a_message_that_runs_already_is_found_by_its_name() {
    let mut world = World::talking();
    world.say("안녕");
    world.link(LinkEvent::Closed(1006));
    world.take();
    world.frame(session(true, Some(running(1, Some("m1"), 2))));
    assert_eq!(world.sent(), [resume_frame(1, 0)]);
    world.frame(resumed(1, 0, StepStatus::Pending));
    world.frame(token("네네"));
    let [entry] = world.entries() else { panic!() };
    assert_eq!(
        (entry.words.as_deref(), entry.answer.as_str()),
        (Some("안녕"), "네네")
    );
}

#[test]
fn a_message_waits_for_the_connection_and_for_the_turn_of_another_device() {
    let mut world = World::talking();
    world.link(LinkEvent::Closed(1006));
    world.take();
    world.say("안녕");
    assert_eq!(world.sent(), []);
    world.say("또");
    assert_eq!(world.banner(), world.model.texts.unsent);
    world.frame(session(true, Some(running(1, Some("theirs"), 2))));
    assert_eq!(world.sent(), [resume_frame(1, 0)]);
    world.frame(resumed(1, 0, StepStatus::Pending));
    world.frame(token("네"));
    assert_eq!(world.sent(), []);
    world.frame(done(1, StepStatus::Complete));
    // Nobody told the words of that turn.
    assert_eq!(
        world.take(),
        [
            Effect::LoadSteps(session_id(1)),
            Effect::Send(say_frame("안녕", "m1"))
        ]
    );
}

#[test]
fn a_message_that_was_never_sent_can_be_taken_back() {
    let mut world = World::talking();
    world.link(LinkEvent::Closed(1006));
    world.say("안녕");
    world.key(KeyCode::Esc);
    assert!(world.entries().is_empty());
    assert_eq!(world.chat().editor.text(), "안녕");
    // One that was sent may have arrived.
    world.connected();
    world.key(KeyCode::Enter);
    world.link(LinkEvent::Closed(1006));
    world.key(KeyCode::Esc);
    assert_eq!(world.entries().len(), 1);
}

#[test]
fn a_running_turn_is_found_when_a_session_is_opened() {
    let mut world = World::logged_in(Language::Korean);
    world.tell(Msg::Sessions(Ok(vec![listed(1, None, 5, false)])));
    world.key(KeyCode::Down);
    world.key(KeyCode::Enter);
    let steps = || {
        Ok(vec![
            step(1, "처음", "답", StepStatus::Complete),
            step(2, "둘째", "", StepStatus::Pending),
        ])
    };
    world.tell(Msg::Steps(session_id(1), steps()));
    world.take();
    world.frame(session(true, Some(running(2, Some("m2"), 3))));
    assert!(world.sent().contains(&resume_frame(2, 0)));
    world.frame(resumed(2, 0, StepStatus::Pending));
    world.frame(token("가나다"));
    world.tell(Msg::Steps(session_id(1), steps()));
    world.frame(token("라"));
    world.frame(done(2, StepStatus::Complete));
    let texts: Vec<_> = world
        .entries()
        .iter()
        .map(|entry| entry.answer.as_str())
        .collect();
    assert_eq!(texts, ["답", "가나다라"]);
}

#[test]
fn what_other_devices_said_while_one_was_away_is_read_in_its_place() {
    let mut world = World::answering("네");
    world.frame(done(1, StepStatus::Complete));
    world.link(LinkEvent::Closed(1006));
    world.say("여기");
    world.take();
    world.frame(session(true, None));
    let steps = vec![
        step(1, "안녕", "네", StepStatus::Complete),
        StepBody {
            message_id: None,
            ..step(2, "폰에서", "응", StepStatus::Complete)
        },
    ];
    world.tell(Msg::Steps(session_id(1), Ok(steps)));
    world.frame(accepted(3, Some("m2"), "여기"));
    let words: Vec<_> = world
        .entries()
        .iter()
        .filter_map(|e| e.words.as_deref())
        .collect();
    assert_eq!(words, ["안녕", "폰에서", "여기"]);
}

#[test]
fn a_turn_that_is_told_twice_is_shown_once() {
    let mut world = World::answering("가나");
    // The news of the turn comes again, as when it began between subscribing and looking.
    world.frame(accepted(1, Some("m1"), "안녕"));
    world.frame(token("가"));
    world.frame(token("나다"));
    assert_eq!(world.entries()[0].answer, "가나다");
    world.frame(done(1, StepStatus::Complete));
    for again in [
        accepted(1, Some("m1"), "안녕"),
        token("가나다"),
        done(1, StepStatus::Complete),
    ] {
        world.frame(again);
    }
    assert_eq!(world.entries().len(), 1);
    assert_eq!(world.entries()[0].answer, "가나다");
    assert!(!world.chat().answering());
}

#[test]
fn a_message_that_was_answered_is_not_mistaken_for_the_turn_that_runs() {
    let mut world = World::talking();
    world.say("안녕");
    world.link(LinkEvent::Closed(1006));
    world.connected();
    world.take();
    // Another device was faster than what is sent again, which had been heard and answered.
    world.frame(accepted(2, Some("theirs"), "폰에서"));
    world.frame(token("가"));
    world.frame(accepted(1, Some("m1"), "안녕"));
    world.frame(refused("turn_in_progress", None, Some(1)));
    world.frame(token("나"));
    assert_eq!(world.sent(), []);
    world.frame(done(2, StepStatus::Complete));
    assert_eq!(world.sent(), [resume_frame(1, 0)]);
    world.frame(resumed(1, 0, StepStatus::Complete));
    world.frame(token("네"));
    world.frame(done(1, StepStatus::Complete));
    let answers: Vec<_> = world
        .entries()
        .iter()
        .map(|entry| entry.answer.as_str())
        .collect();
    assert_eq!(answers, ["네", "가나"]);
}

#[test]
fn a_gap_is_filled_from_what_is_stored() {
    let mut world = World::answering("가");
    world.frame(resumed(1, 3, StepStatus::Pending));
    world.frame(token("라"));
    assert_eq!(world.entries()[0].answer, "가");
    world.frame(done(1, StepStatus::Complete));
    assert_eq!(world.take(), [Effect::LoadSteps(session_id(1))]);
    let steps = vec![step(1, "안녕", "가나다라", StepStatus::Complete)];
    world.tell(Msg::Steps(session_id(1), Ok(steps)));
    assert_eq!(world.entries()[0].answer, "가나다라");
}

#[test]
fn a_turn_that_cannot_be_resumed_is_asked_for_once_and_then_looked_up() {
    let mut world = World::answering("가");
    world.link(LinkEvent::Closed(1006));
    world.frame(session(true, None));
    world.take();
    world.frame(refused("not_found", None, None));
    assert_eq!(world.take(), [Effect::LoadSteps(session_id(1))]);
    let steps = || Ok(vec![step(1, "안녕", "", StepStatus::Pending)]);
    world.tell(Msg::Steps(session_id(1), steps()));
    assert_eq!(world.sent(), []);
    // It does not keep the person from talking: the server knows better.
    world.say("여보세요");
    assert_eq!(world.sent(), [say_frame("여보세요", "m2")]);
}

#[test]
fn a_turn_on_another_instance_is_looked_at_again() {
    let mut world = World::answering("가");
    world.frame(done(1, StepStatus::Pending));
    world.take();
    world.wait(10);
    assert_eq!(world.take(), [Effect::LoadSteps(session_id(1))]);
}

#[test]
fn close_codes_and_refusals_are_acted_on() {
    for (code, wait) in [
        (close::RESTARTING, Some(Wait::Soon)),
        (close::OVERLOADED, Some(Wait::Later(0))),
        (close::IDLE, Some(Wait::Backoff(0))),
        (close::NORMAL, None),
    ] {
        let mut world = World::answering("가");
        world.link(LinkEvent::Closed(code));
        assert_eq!(world.connect_wait(), wait, "{code}");
        assert_eq!(world.model.screen, Screen::Chat);
    }
    let mut world = World::answering("가");
    world.link(LinkEvent::Closed(1006));
    for failed in 1..4 {
        world.take();
        world.link(LinkEvent::Refused(ClientError::Network(
            "refused".to_owned(),
        )));
        assert_eq!(world.connect_wait(), Some(Wait::Backoff(failed)));
    }
    world.link(LinkEvent::Refused(problem(503, "overloaded", None)));
    assert_eq!(world.connect_wait(), Some(Wait::Later(3)));
    world.frame(session(true, None));
    assert_eq!(world.banner(), "");
    world.link(LinkEvent::Closed(1006));
    assert_eq!(world.connect_wait(), Some(Wait::Backoff(0)));
    world.link(LinkEvent::Refused(problem(401, "unauthorized", None)));
    assert_eq!(world.model.screen, Screen::Form);
}

#[test]
fn who_talks_after_a_normal_close_is_connected_again() {
    let mut world = World::talking();
    world.link(LinkEvent::Closed(close::NORMAL));
    world.take();
    world.say("안녕");
    assert_eq!(world.connect_wait(), Some(Wait::No));
    world.connected();
    assert_eq!(world.sent(), [say_frame("안녕", "m1")]);
}

#[test]
fn words_that_are_too_big_are_not_sent_for_ever() {
    let mut world = World::talking();
    world.say("길어요");
    world.link(LinkEvent::Closed(close::TOO_BIG));
    world.connected();
    world.take();
    assert!(world.entries().is_empty());
    assert_eq!(world.chat().editor.text(), "길어요");
}

#[test]
fn a_silent_connection_is_asked_for_a_sign_and_then_given_up() {
    let mut world = World::talking();
    world.wait(24);
    assert_eq!(world.take(), []);
    world.wait(1);
    assert!(matches!(world.sent()[..], [ClientFrame::Ping(_)]));
    world.frame(ServerFrame::Pong { pong: 1.into() });
    world.wait(25);
    assert!(matches!(world.sent()[..], [ClientFrame::Ping(_)]));
    world.wait(10);
    assert_eq!(world.connect_wait(), Some(Wait::Backoff(0)));
}

#[test]
fn what_an_earlier_connection_says_is_not_listened_to() {
    let mut world = World::answering("가");
    let old = world.model.link_id;
    world.link(LinkEvent::Closed(1006));
    world.frame(session(true, None));
    world.frame(resumed(1, 1, StepStatus::Pending));
    world.tell(Msg::Link(old, LinkEvent::Frame(token("나"))));
    world.tell(Msg::Link(LinkId::default(), LinkEvent::Closed(1006)));
    assert_eq!(world.entries()[0].answer, "가");
    assert!(matches!(&world.chat().link, Link::Open(open) if open.asked.is_none()));
    world.link(LinkEvent::Noise);
    assert_eq!(world.entries()[0].answer, "가");
}

#[test]
fn only_one_question_is_open_at_a_time() {
    let mut world = World::talking();
    world.say("안녕");
    let Link::Open(open) = &world.chat().link else {
        panic!()
    };
    assert_eq!(open.asked, Some(Asked::Say("m1".to_owned())));
    world.take();
    world.say("또");
    assert_eq!(world.take(), []);
}

#[test]
fn steps_that_cannot_be_loaded_are_asked_for_again() {
    let mut world = World::logged_in(Language::Korean);
    world.tell(Msg::Sessions(Ok(vec![listed(1, None, 5, false)])));
    world.key(KeyCode::Down);
    world.key(KeyCode::Enter);
    world.take();
    world.tell(Msg::Steps(
        session_id(1),
        Err(ClientError::Network("no".to_owned())),
    ));
    assert!(!world.banner().is_empty());
    world.wait(4);
    assert_eq!(world.take(), [Effect::LoadSteps(session_id(1))]);
    world.tell(Msg::Steps(
        session_id(1),
        Err(problem(404, "not_found", None)),
    ));
    assert_eq!(world.model.screen, Screen::Sessions);
}
