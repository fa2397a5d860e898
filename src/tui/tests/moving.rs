//! Getting in, choosing a conversation, looking around in it and leaving.

use super::super::chat::Scroll;
use super::super::form::{Field, Kind};
use super::super::model::Overlay;
use super::*;
use crate::wire::ws::{Ended, close};

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
            problem(422, "weak_password", Some("password")),
            Some(Field::Password),
        ),
        (problem(403, "invite_needed", None), None),
        (problem(403, "registration_closed", None), None),
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
