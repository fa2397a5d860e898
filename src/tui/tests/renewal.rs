//! Logins that are renewed: a token that ends costs nobody a word.

use super::super::link::Link;
use super::*;
use crate::wire::ws::{Auth, close};

/// A login of which the token ends in ten minutes.
fn renewable(n: u32) -> Login {
    Login {
        token: Secret(format!("t{n}")),
        refresh: Some(Secret(format!("r{n}"))),
        renew_at: Some(NOW.plus(Duration::from_mins(10 * u64::from(n)))),
        ..login()
    }
}

fn talking() -> World {
    let mut world = World::talking();
    world.model.login = Some(renewable(1));
    world
}

fn renewed(n: u32) -> Msg {
    Msg::Renewed(Ok(renewable(n)))
}

fn auth(n: u32) -> Effect {
    Effect::Send(ClientFrame::Auth(Auth {
        access_token: format!("t{n}"),
    }))
}

#[test]
fn a_token_is_renewed_before_it_ends_and_the_open_socket_learns_of_it() {
    let mut world = talking();
    for _ in 0..24 {
        world.wait(24);
        world.frame(ServerFrame::Pong { pong: 1.into() });
    }
    assert_eq!(world.take(), []);
    world.wait(24);
    assert_eq!(world.take(), [Effect::Renew(renewable(1))]);
    world.frame(ServerFrame::Pong { pong: 1.into() });
    world.wait(1);
    assert_eq!(world.take(), [], "once");
    world.tell(renewed(2));
    assert_eq!(world.take(), [Effect::Go(renewable(2)), auth(2)]);
    assert_eq!(world.model.login, Some(renewable(2)));
    // Nothing of it shows.
    assert_eq!(world.banner(), "");
}

#[test]
fn a_renewal_without_an_answer_is_tried_again_quietly() {
    let mut world = talking();
    let lost = || Msg::Renewed(Err(ClientError::Network("no".to_owned())));
    world.link(LinkEvent::Closed(1006));
    world.wait(600);
    assert!(world.take().contains(&Effect::Renew(renewable(1))));
    world.tell(lost());
    assert_eq!(world.take(), []);
    assert_eq!(world.banner(), "");
    world.wait(4);
    assert_eq!(world.take(), []);
    world.wait(1);
    let [Effect::Renew(login)] = &world.take()[..] else {
        panic!()
    };
    assert_eq!(login.refresh, renewable(1).refresh);
    world.tell(renewed(2));
    // The attempt at a connection that is on its way has the token before.
    let effects = world.take();
    assert_eq!(effects[0], Effect::Go(renewable(2)));
    let again = matches!(effects[1], Effect::Connect { wait: Wait::No, .. });
    assert!(again, "{effects:?}");
}

/// The machine slept while the token ended, and something was being said.
#[test]
fn words_that_meet_an_ended_token_are_said_with_the_next_one() {
    let mut world = talking();
    world.say("안녕");
    assert_eq!(world.sent(), [say_frame("안녕", "m1")]);
    world.link(LinkEvent::Closed(close::UNAUTHENTICATED));
    assert_eq!(
        world.take(),
        [Effect::Renew(renewable(1)), Effect::Disconnect]
    );
    assert_eq!(world.model.screen, Screen::Chat);
    assert!(matches!(world.chat().link, Link::Connecting { .. }));
    world.tell(renewed(2));
    let effects = world.take();
    assert_eq!(effects[0], Effect::Go(renewable(2)));
    assert!(matches!(effects[1], Effect::Connect { .. }), "{effects:?}");
    world.connected();
    assert_eq!(world.sent(), [say_frame("안녕", "m1")]);
    world.frame(accepted(1, Some("m1"), "안녕"));
    assert_eq!(world.entries().len(), 1);
}

#[test]
fn a_refused_connection_is_made_again_once_the_login_is_renewed() {
    let mut world = talking();
    world.link(LinkEvent::Closed(1006));
    world.take();
    world.link(LinkEvent::Refused(problem(401, "unauthorized", None)));
    assert_eq!(
        world.take(),
        [Effect::Renew(renewable(1)), Effect::Disconnect]
    );
    world.tell(renewed(2));
    assert_eq!(world.connect_wait(), Some(Wait::No));
    // With a token that is a moment old it is no matter of time.
    world.link(LinkEvent::Refused(problem(401, "unauthorized", None)));
    assert_eq!(world.model.screen, Screen::Form);
}

#[test]
fn a_call_that_met_an_ended_token_is_made_again() {
    let mut world = World::logged_in(Language::Korean);
    world.model.login = Some(renewable(1));
    let refused = || Err(problem(401, "unauthorized", None));
    world.tell(Msg::Sessions(refused()));
    assert_eq!(world.take(), [Effect::Renew(renewable(1))]);
    world.tell(Msg::Sessions(refused()));
    assert_eq!(world.take(), []);
    world.tell(renewed(2));
    let list = Effect::ListSessions(user());
    assert_eq!(world.take(), [Effect::Go(renewable(2)), list.clone()]);
    // One that was on its way with the token before.
    world.tell(Msg::Sessions(refused()));
    assert_eq!(world.take(), [list]);
    // And another one.
    world.tell(Msg::Sessions(refused()));
    assert_eq!(world.take(), []);
    assert_eq!(world.model.screen, Screen::Sessions);
    world.wait(20);
    world.tell(Msg::Sessions(refused()));
    assert_eq!(world.take(), [Effect::Renew(renewable(2))]);
}

#[test]
fn a_login_that_cannot_be_renewed_is_asked_for_and_nothing_is_lost() {
    let mut world = talking();
    world.say("안녕");
    world.link(LinkEvent::Closed(close::UNAUTHENTICATED));
    world.tell(Msg::Renewed(Err(problem(401, "unauthorized", None))));
    assert_eq!(world.model.screen, Screen::Form);
    world.take();
    // An answer to what was asked before does not count any more.
    world.tell(renewed(5));
    assert_eq!(world.take(), []);
    world.tell(Msg::LoggedIn(Ok(renewable(2))));
    assert_eq!(world.take()[0], Effect::Become(renewable(2)));
    world.connected();
    assert_eq!(world.sent(), [say_frame("안녕", "m1")]);
}

#[test]
fn a_token_that_the_open_socket_does_not_take_is_not_taken_for_an_answer_to_words() {
    let mut world = talking();
    world.say("안녕");
    world.take();
    world.frame(refused("unauthorized", None, None));
    assert_eq!(
        world.take(),
        [Effect::Renew(renewable(1)), Effect::Disconnect]
    );
    assert_eq!(world.entries().len(), 1, "the words are still to be said");
}

#[test]
fn a_conversation_that_has_ended_needs_no_token() {
    let mut world = talking();
    world.model.chat.as_mut().unwrap().ended = true;
    world.link(LinkEvent::Closed(close::UNAUTHENTICATED));
    assert_eq!(world.take(), [Effect::Disconnect]);
    assert_eq!(world.model.screen, Screen::Chat);
}
