//! One message after the other: every transition of the update.

use super::super::chat::Scroll;
use super::super::form::{Field, Kind};
use super::super::link::{Asked, Link};
use super::super::model::Overlay;
use super::*;
use crate::wire::ws::{Ended, Resume, close};

fn resume_frame(n: u128, received: u64) -> ClientFrame {
    ClientFrame::Resume(Resume {
        step_id: Some(step_id(n)),
        received,
    })
}

fn say_frame(words: &str, message_id: &str) -> ClientFrame {
    ClientFrame::UserInput(UserMessage {
        user_input: words.to_owned(),
        message_id: Some(message_id.to_owned()),
        received: Some(0),
        ..UserMessage::default()
    })
}

fn refused(code: &str, stored: Option<bool>, retry_after: Option<u32>) -> ServerFrame {
    ServerFrame::Error {
        error: ErrorFrame {
            retry_after,
            ..error(code, stored)
        },
    }
}

// The form.

#[test]
fn the_form_asks_for_what_is_missing_and_then_logs_in() {
    let mut world = World::new(Language::Korean);
    world.write("a@b.kr");
    world.key(KeyCode::Enter);
    assert_eq!(world.model.form.focus, Field::Password);
    assert_eq!(world.model.form.wrong, None);
    world.key(KeyCode::Enter);
    assert_eq!(
        world.model.form.wrong.as_ref().unwrap().0,
        Some(Field::Password)
    );
    world.write("비밀번호비밀번호!!");
    world.key(KeyCode::Enter);
    let password = Secret::from("비밀번호비밀번호!!");
    assert_eq!(
        world.take(),
        [Effect::LogIn {
            email: "a@b.kr".to_owned(),
            password
        }]
    );
    // Once is enough.
    world.key(KeyCode::Enter);
    assert_eq!(world.take(), []);
    world.tell(Msg::LoggedIn(Ok(login())));
    assert_eq!(
        world.take(),
        [Effect::Become(login()), Effect::ListSessions(user())]
    );
    assert_eq!(world.model.screen, Screen::Sessions);
    assert!(!format!("{:?}", world.model).contains("비밀번호!!"));
}

#[test]
fn errors_of_the_form_stand_at_their_field() {
    let mut world = World::new(Language::Korean);
    world.key(KeyCode::F(2));
    assert_eq!(
        (world.model.form.kind, world.model.form.focus),
        (Kind::Register, Field::Name)
    );
    for text in ["지우", "a@b.kr", "long enough"] {
        world.write(text);
        world.key(KeyCode::Tab);
    }
    world.key(KeyCode::Enter);
    assert!(matches!(&world.take()[..], [Effect::Register { name, .. }] if name == "지우"));
    for (error, field) in [
        (problem(409, "email_taken", None), Some(Field::Email)),
        (
            problem(422, "invalid_input", Some("password")),
            Some(Field::Password),
        ),
        (
            problem(422, "invalid_input", Some("name")),
            Some(Field::Name),
        ),
        (ClientError::Network("refused".to_owned()), None),
    ] {
        world.tell(Msg::LoggedIn(Err(error)));
        let form = &world.model.form;
        assert_eq!(form.wrong.as_ref().unwrap().0, field);
        assert!(field.is_none_or(|field| form.focus == field) && !form.busy);
    }
}

#[test]
fn who_is_logged_out_comes_back_to_the_same_conversation() {
    let mut world = World::answering("그랬");
    world.write("초안");
    world.link(LinkEvent::Closed(close::UNAUTHENTICATED));
    assert_eq!(world.model.screen, Screen::Form);
    assert_eq!(world.model.form.why, Some(world.model.texts.logged_out));
    assert_eq!(world.take(), [Effect::Disconnect]);
    world.tell(Msg::LoggedIn(Ok(login())));
    assert_eq!(world.model.screen, Screen::Chat);
    assert!(matches!(
        world.take()[..],
        [
            Effect::Become(_),
            Effect::Connect {
                session_id: Some(_),
                ..
            }
        ]
    ));
    world.frame(session(true, Some(running(1, Some("m1"), 9))));
    assert!(world.sent().contains(&resume_frame(1, 2)));
    assert_eq!(world.chat().editor.text(), "초안");
}

#[test]
fn for_somebody_else_nothing_is_left() {
    let mut world = World::answering("비밀");
    world.link(LinkEvent::Closed(close::UNAUTHENTICATED));
    let other = Login {
        user_id: UserId(Uuid::from_u128(2)),
        ..login()
    };
    world.tell(Msg::LoggedIn(Ok(other)));
    assert!(world.model.chat.is_none() && world.model.draft.is_empty());
    assert_eq!(world.model.screen, Screen::Sessions);
}

#[test]
fn a_call_that_is_not_allowed_any_more_asks_for_a_login() {
    let mut world = World::logged_in(Language::Korean);
    world.tell(Msg::Sessions(Err(problem(401, "unauthorized", None))));
    assert_eq!(world.model.screen, Screen::Form);
}

// The list.

#[test]
fn sessions_are_listed_newest_first_and_opened_by_their_steps() {
    let mut world = World::logged_in(Language::Korean);
    let old = listed(1, Some("이직"), 90, false);
    world.tell(Msg::Sessions(Ok(vec![old, listed(2, None, 5, true)])));
    let order: Vec<_> = world
        .model
        .list
        .sessions
        .iter()
        .flatten()
        .map(|s| s.session_id)
        .collect();
    assert_eq!(order, [session_id(2), session_id(1)]);
    for _ in 0..9 {
        world.key(KeyCode::Down);
    }
    world.key(KeyCode::Enter);
    assert_eq!(world.take(), [Effect::LoadSteps(session_id(1))]);
    assert_eq!(world.chat().title.as_deref(), Some("이직"));
    let steps = vec![step(1, "안녕", "그래요", StepStatus::Complete)];
    world.tell(Msg::Steps(session_id(1), Ok(steps)));
    assert_eq!(world.connect_wait(), Some(Wait::No));
    assert_eq!(world.entries()[0].answer, "그래요");
}

#[test]
fn a_session_that_was_asked_for_is_opened_at_once() {
    let mut world = World::new(Language::Korean);
    world.model.wanted = Some(session_id(1));
    let effects = start(&mut world.model, Some(login()));
    assert_eq!(effects, [Effect::LoadSteps(session_id(1))]);
    let mut world = World::new(Language::Korean);
    world.model.wanted = Some(session_id(1));
    world.tell(Msg::LoggedIn(Ok(login())));
    assert_eq!(
        world.take(),
        [Effect::Become(login()), Effect::LoadSteps(session_id(1))]
    );
}

#[test]
fn an_ended_session_is_only_read() {
    let mut world = World::logged_in(Language::Korean);
    world.tell(Msg::Sessions(Ok(vec![listed(1, None, 5, true)])));
    world.key(KeyCode::Down);
    world.key(KeyCode::Enter);
    let steps = vec![step(1, "안녕", "그래요", StepStatus::Complete)];
    world.tell(Msg::Steps(session_id(1), Ok(steps)));
    world.say("더");
    assert_eq!(world.take(), [Effect::LoadSteps(session_id(1))]);
    assert_eq!(world.entries().len(), 1);
    world.key(KeyCode::F(3));
    assert_eq!(world.connect_wait(), Some(Wait::No));
}

#[test]
fn ending_a_session_asks_first() {
    let mut world = World::answering("그래요");
    world.frame(done(1, StepStatus::Complete));
    world.key(KeyCode::F(4));
    assert_eq!(world.model.overlay, Some(Overlay::End(session_id(1))));
    world.key(KeyCode::Esc);
    assert_eq!((world.model.overlay, world.take()), (None, vec![]));
    world.key(KeyCode::F(4));
    world.key(KeyCode::Enter);
    assert_eq!(world.take(), [Effect::Send(ClientFrame::End)]);
    let ended = Ended {
        session_id: session_id(1),
        ended_at: NOW,
    };
    world.frame(ServerFrame::Ended { ended });
    assert!(world.chat().ended);
    assert_eq!(world.take(), [Effect::Disconnect]);
    // From the list it is a call.
    world.tell(Msg::Sessions(Ok(vec![listed(2, None, 5, false)])));
    world.key(KeyCode::F(2));
    world.take();
    world.key(KeyCode::Down);
    world.write("ㄷ");
    world.key(KeyCode::Enter);
    assert_eq!(world.take(), [Effect::EndSession(session_id(2))]);
}

#[test]
fn a_session_that_does_not_exist_leads_back_to_the_list_and_keeps_the_words() {
    let mut world = World::answering("그래요");
    world.write("초안");
    world.link(LinkEvent::Closed(close::UNKNOWN_SESSION));
    assert_eq!(world.model.screen, Screen::Sessions);
    assert_eq!(world.banner(), world.model.texts.session_gone);
    world.key(KeyCode::F(3));
    assert_eq!(world.chat().editor.text(), "초안");
}

// Talking.

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

// The connection.

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

// The rest.

#[test]
fn the_view_stays_where_the_person_reads() {
    let mut world = World::talking();
    world.tell(Msg::Resize(40, 12));
    let steps = (1..=20)
        .map(|n| step(n, "말", "답", StepStatus::Complete))
        .collect();
    world.tell(Msg::Steps(session_id(1), Ok(steps)));
    world.key(KeyCode::PageUp);
    let reading = world.chat().scroll;
    assert_ne!(reading, Scroll::Follow);
    assert!(!world.chat().unseen);
    world.frame(accepted(21, None, "폰에서"));
    world.frame(token("길게\n길게\n"));
    assert_eq!(world.chat().scroll, reading);
    assert!(world.chat().unseen);
    for _ in 0..9 {
        world.key(KeyCode::PageDown);
    }
    assert_eq!(world.chat().scroll, Scroll::Follow);
    assert!(!world.chat().unseen);
    world.tell(Msg::Wheel(-3));
    assert_ne!(world.chat().scroll, Scroll::Follow);
    for _ in 0..99 {
        world.key(KeyCode::PageUp);
    }
    let first = world.entries()[0].key;
    assert_eq!(world.chat().scroll, Scroll::At(first, 0));
    world.key(KeyCode::End);
    assert_eq!(world.chat().scroll, Scroll::Follow);
    // What fits needs no scrolling.
    world.tell(Msg::Resize(40, 300));
    world.key(KeyCode::PageUp);
    assert_eq!(world.chat().scroll, Scroll::Follow);
}

#[test]
fn quitting_takes_one_key_or_two_and_never_words_that_are_not_sent() {
    let mut world = World::talking();
    world.control('c');
    assert!(!world.model.quit);
    world.wait(4);
    world.control('c');
    assert!(!world.model.quit);
    world.control('c');
    assert!(world.model.quit);
    let mut world = World::talking();
    world.control('q');
    assert!(world.model.quit);
    let mut world = World::talking();
    world.say("안녕");
    world.control('q');
    assert!(!world.model.quit);
    assert_eq!(world.banner(), world.model.texts.quit_unsent);
    world.control('q');
    assert!(world.model.quit);
}

#[test]
fn help_opens_over_everything_and_question_marks_can_be_typed() {
    let mut world = World::talking();
    world.write("?");
    assert_eq!(world.model.overlay, Some(Overlay::Help));
    world.key(KeyCode::Esc);
    world.write("왜?");
    assert_eq!(
        (world.model.overlay, world.chat().editor.text()),
        (None, "왜?")
    );
    world.key(KeyCode::F(1));
    assert_eq!(world.model.overlay, Some(Overlay::Help));
}

#[test]
fn a_terminated_process_quits() {
    let mut world = World::talking();
    world.tell(Msg::Terminate);
    assert!(world.model.quit);
}
