//! Logins, refresh tokens and tickets.

use super::{Backend, at, person, user};
use deepme::domain::login::{Login, MOST, Standing, Ticket};
use deepme::domain::{LoginId, Timestamp, UserId};
use deepme::store::{PasswordChange, Rotate, Rotated, Store};
use futures_util::future::join_all;
use std::time::Duration;
use uuid::Uuid;

const DAY: Duration = Duration::from_hours(24);

fn login_id(n: u128) -> LoginId {
    LoginId(Uuid::from_u128(n))
}

pub fn login(user_id: UserId, n: u128) -> Login {
    Login {
        refresh_hash: Some(format!("token {n}.0")),
        ..Login::new(login_id(n), user_id, 0, at(0), DAY)
    }
}

/// The account and its login of this number.
async fn logged_in(store: &dyn Store, n: u128) -> UserId {
    let user_id = person(store, n).await;
    assert!(store.add_login(login(user_id, n)).await.unwrap());
    user_id
}

fn rotate(n: u128, presented: &str, successor: &str, seconds: u64) -> Rotate {
    Rotate {
        login_id: login_id(n),
        presented: format!("token {n}.{presented}"),
        genuine: true,
        successor: format!("token {n}.{successor}"),
        at: at(seconds),
        expires_at: at(seconds).plus(DAY),
    }
}

async fn stands(store: &dyn Store, user_id: UserId, n: u128) -> Option<i64> {
    let standing = store.standing(user_id, login_id(n)).await.unwrap();
    standing.map(|standing| standing.epoch)
}

async fn revoked(store: &dyn Store) -> Vec<(UserId, Timestamp)> {
    store.revoked_lately(100).await.unwrap()
}

pub async fn a_login_needs_its_account_as_it_was(backend: &dyn Backend) {
    let store = backend.open().await;
    let me = person(&*store, 1).await;
    assert!(store.add_login(login(me, 1)).await.unwrap());
    let standing = store.standing(me, login_id(1)).await.unwrap();
    let expected = Standing {
        epoch: 0,
        refreshes: true,
    };
    assert_eq!(standing, Some(expected));
    let legacy = Login {
        refresh_hash: None,
        ..login(me, 2)
    };
    assert!(store.add_login(legacy).await.unwrap());
    let standing = store.standing(me, login_id(2)).await.unwrap().unwrap();
    assert!(!standing.refreshes);
    // One that was being made while all others were ended.
    assert_eq!(store.end_all_logins(me, at(1)).await.unwrap(), Some(1));
    assert!(!store.add_login(login(me, 3)).await.unwrap());
    let newer = Login {
        epoch: 1,
        ..login(me, 4)
    };
    assert!(store.add_login(newer.clone()).await.unwrap());
    assert!(store.disable_user(me, at(2)).await.unwrap());
    for epoch in [1, 2] {
        let late = Login {
            login_id: login_id(5),
            epoch,
            ..newer.clone()
        };
        assert!(!store.add_login(late).await.unwrap(), "disabled");
    }
    let nobody = UserId(Uuid::from_u128(9));
    assert!(!store.add_login(login(nobody, 6)).await.unwrap());
    for n in [3, 5, 6] {
        assert_eq!(stands(&*store, me, n).await, None);
    }
}

pub async fn a_login_stands_for_its_owner_until_it_is_ended(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, you) = (logged_in(&*store, 1).await, logged_in(&*store, 2).await);
    assert_eq!(stands(&*store, me, 1).await, Some(0));
    assert_eq!(stands(&*store, you, 1).await, None);
    assert_eq!(stands(&*store, me, 3).await, None);
    assert!(!store.end_login(you, login_id(1), at(1)).await.unwrap());
    assert_eq!(stands(&*store, me, 1).await, Some(0));
    assert_eq!(revoked(&*store).await, []);
    assert!(store.end_login(me, login_id(1), at(2)).await.unwrap());
    assert_eq!(stands(&*store, me, 1).await, None);
    assert!(!store.end_login(me, login_id(1), at(3)).await.unwrap());
    assert_eq!(revoked(&*store).await, [(me, at(2))]);
    assert_eq!(
        store.rotate_login(rotate(1, "0", "1", 4)).await.unwrap(),
        Rotated::Nothing
    );
    assert_eq!(stands(&*store, you, 2).await, Some(0));
    // With its account it falls, comes back, and goes.
    store.disable_user(you, at(5)).await.unwrap();
    assert_eq!(stands(&*store, you, 2).await, None);
    store.enable_user(you).await.unwrap();
    assert_eq!(stands(&*store, you, 2).await, Some(1));
    assert_eq!(
        store.rotate_login(rotate(2, "0", "1", 6)).await.unwrap(),
        Rotated::Nothing,
        "an epoch that is past"
    );
    store.delete_user(you, at(7)).await.unwrap();
    assert_eq!(stands(&*store, you, 2).await, None);
}

pub async fn the_oldest_logins_make_room(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, you) = (person(&*store, 1).await, logged_in(&*store, 999).await);
    let add = |n: u64| {
        let login = Login {
            created_at: at(n),
            ..login(me, u128::from(n))
        };
        store.add_login(login)
    };
    let most = u64::from(MOST);
    for n in 1..=most {
        assert!(add(n).await.unwrap());
    }
    assert_eq!(stands(&*store, me, 1).await, Some(0));
    assert!(add(most + 1).await.unwrap());
    assert_eq!(stands(&*store, me, 1).await, None);
    assert_eq!(stands(&*store, me, 2).await, Some(0));
    // A clock that was set back is no reason to forget what was just made.
    let login = Login {
        created_at: at(0),
        ..login(me, 1000)
    };
    assert!(store.add_login(login).await.unwrap());
    assert_eq!(stands(&*store, me, 1000).await, Some(0));
    assert_eq!(stands(&*store, me, 2).await, None);
    assert_eq!(stands(&*store, you, 999).await, Some(0));
}

pub async fn a_refresh_token_is_good_once_and_its_return_ends_the_login(backend: &dyn Backend) {
    let store = backend.open().await;
    let me = logged_in(&*store, 1).await;
    let fresh = Rotated::Fresh {
        user_id: me,
        epoch: 0,
    };
    let again = |current: &str| Rotated::Again {
        user_id: me,
        epoch: 0,
        current: format!("token 1.{current}"),
    };
    let ask = |rotate: Rotate| store.rotate_login(rotate);
    assert_eq!(ask(rotate(1, "0", "1", 10)).await.unwrap(), fresh);
    // An answer that was lost.
    assert_eq!(ask(rotate(1, "0", "1", 11)).await.unwrap(), again("1"));
    assert_eq!(ask(rotate(1, "0", "x", 70)).await.unwrap(), again("1"));
    assert_eq!(ask(rotate(1, "1", "2", 80)).await.unwrap(), fresh);
    // Nobody made this one, so that it says nothing about thieves.
    let mut made_up = rotate(1, "made up", "x", 81);
    made_up.genuine = false;
    assert_eq!(ask(made_up.clone()).await.unwrap(), Rotated::Nothing);
    let nowhere = Rotate {
        login_id: login_id(9),
        ..made_up
    };
    assert_eq!(ask(nowhere).await.unwrap(), Rotated::Nothing);
    assert_eq!(ask(rotate(1, "2", "3", 90)).await.unwrap(), fresh);
    assert_eq!(stands(&*store, me, 1).await, Some(0));
    assert_eq!(revoked(&*store).await, []);
    let stolen = Rotated::Stolen { user_id: me };
    assert_eq!(ask(rotate(1, "0", "1", 91)).await.unwrap(), stolen);
    assert_eq!(revoked(&*store).await, [(me, at(91))]);
    assert_eq!(stands(&*store, me, 1).await, None);
    for token in ["0", "1", "2", "3"] {
        let over = ask(rotate(1, token, "x", 92)).await.unwrap();
        assert_eq!(over, Rotated::Nothing, "{token}");
    }
    // The one before, after its grace.
    let you = logged_in(&*store, 2).await;
    ask(rotate(2, "0", "1", 0)).await.unwrap();
    let stolen = Rotated::Stolen { user_id: you };
    let mut late = rotate(2, "0", "1", 61);
    late.genuine = false;
    assert_eq!(ask(late).await.unwrap(), stolen, "it was current once");
    // Each refresh makes the login last longer, and after that it is over.
    let other = logged_in(&*store, 3).await;
    ask(rotate(3, "0", "1", 3600)).await.unwrap();
    let end = 3600 + DAY.as_secs();
    assert_eq!(
        ask(rotate(3, "1", "2", end)).await.unwrap(),
        Rotated::Nothing
    );
    let fresh = Rotated::Fresh {
        user_id: other,
        epoch: 0,
    };
    assert_eq!(ask(rotate(3, "1", "2", end - 1)).await.unwrap(), fresh);
    // One without a refresh token has none.
    let legacy = Login {
        refresh_hash: None,
        ..login(other, 4)
    };
    store.add_login(legacy).await.unwrap();
    assert_eq!(ask(rotate(4, "0", "1", 1)).await.unwrap(), Rotated::Nothing);
}

pub async fn of_twenty_that_bring_the_same_refresh_token_all_get_one_successor(
    backend: &dyn Backend,
) {
    let stores = [backend.open().await, backend.open().await];
    let me = logged_in(&*stores[0], 1).await;
    let asking = (0..20).map(|n| stores[n % 2].rotate_login(rotate(1, "0", "1", 1)));
    let mut fresh = 0;
    for rotated in join_all(asking).await {
        match rotated.unwrap() {
            Rotated::Fresh { user_id, .. } => {
                assert_eq!(user_id, me);
                fresh += 1;
            }
            Rotated::Again { current, .. } => assert_eq!(current, "token 1.1"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(fresh, 1);
    assert_eq!(stands(&*stores[1], me, 1).await, Some(0));
}

pub async fn all_logins_of_a_person_end_together(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, you) = (logged_in(&*store, 1).await, logged_in(&*store, 2).await);
    assert_eq!(store.end_all_logins(me, at(1)).await.unwrap(), Some(1));
    assert_eq!(store.end_all_logins(me, at(2)).await.unwrap(), Some(2));
    let user = store.user(me).await.unwrap().unwrap();
    assert_eq!(user.token_epoch, 2);
    // Its tokens say epoch 0.
    assert_eq!(stands(&*store, me, 1).await, Some(2));
    assert_eq!(
        store.rotate_login(rotate(1, "0", "1", 3)).await.unwrap(),
        Rotated::Nothing
    );
    let fresh = Rotated::Fresh {
        user_id: you,
        epoch: 0,
    };
    assert_eq!(
        store.rotate_login(rotate(2, "0", "1", 3)).await.unwrap(),
        fresh
    );
    let nobody = UserId(Uuid::from_u128(9));
    assert_eq!(store.end_all_logins(nobody, at(4)).await.unwrap(), None);
    assert_eq!(revoked(&*store).await, [(me, at(2))]);
}

pub fn change(user_id: UserId, old: &str, new: &str, n: u128) -> PasswordChange {
    PasswordChange {
        user_id,
        old_hash: old.to_owned(),
        new_hash: new.to_owned(),
        login: login(user_id, n),
        at: at(5),
    }
}

pub async fn after_a_password_change_the_login_that_came_with_it_holds(backend: &dyn Backend) {
    let store = backend.open().await;
    let me = logged_in(&*store, 1).await;
    store.add_recovery(me, "code".into(), at(99)).await.unwrap();
    let refused = store.change_password(change(me, "no", "new", 7)).await;
    assert_eq!(refused.unwrap(), None);
    assert_eq!(stands(&*store, me, 7).await, None);
    assert_eq!(revoked(&*store).await, []);
    let changed = store.change_password(change(me, "hash 1", "new", 8)).await;
    assert_eq!(changed.unwrap(), Some(1));
    assert_eq!(revoked(&*store).await, [(me, at(5))]);
    assert_eq!(
        store.rotate_login(rotate(1, "0", "1", 6)).await.unwrap(),
        Rotated::Nothing
    );
    let fresh = Rotated::Fresh {
        user_id: me,
        epoch: 1,
    };
    assert_eq!(
        store.rotate_login(rotate(8, "0", "1", 6)).await.unwrap(),
        fresh
    );
    // A code that somebody may have asked for in the person's name is void.
    let email = user(1).email;
    let reset = store.reset_password(email, "code".into(), "x".into(), at(6));
    assert_eq!(reset.await.unwrap(), None);
}

pub async fn who_lost_their_tokens_is_told_newest_first(backend: &dyn Backend) {
    let store = backend.open().await;
    for n in 1..=4 {
        let user_id = logged_in(&*store, n).await;
        let when = at(u64::try_from(n).unwrap());
        store.end_all_logins(user_id, when).await.unwrap();
    }
    let me = UserId(Uuid::from_u128(1));
    store.disable_user(me, at(9)).await.unwrap();
    let told: Vec<u128> = revoked(&*store)
        .await
        .into_iter()
        .map(|(user_id, _)| user_id.0.as_u128())
        .collect();
    assert_eq!(told, [1, 4, 3, 2]);
    assert_eq!(store.revoked_lately(2).await.unwrap().len(), 2);
    assert_eq!(revoked(&*store).await[0], (me, at(9)));
}

fn ticket(user_id: UserId, hash: &str) -> Ticket {
    Ticket {
        hash: hash.to_owned(),
        user_id,
        login_id: login_id(1),
        epoch: 3,
        origin: Some("https://app.example.com".to_owned()),
        token_expires_at: at(900),
        expires_at: at(30),
    }
}

pub async fn a_ticket_is_taken_once_and_in_time(backend: &dyn Backend) {
    let store = backend.open().await;
    let me = person(&*store, 1).await;
    let kept = ticket(me, "a");
    let native = Ticket {
        origin: None,
        ..ticket(me, "b")
    };
    for ticket in [kept.clone(), native.clone(), ticket(me, "late")] {
        store.add_ticket(ticket).await.unwrap();
    }
    let take = |hash: &str, seconds| store.take_ticket(hash.to_owned(), at(seconds));
    assert_eq!(take("c", 1).await.unwrap(), None);
    assert_eq!(take("a", 29).await.unwrap(), Some(kept));
    assert_eq!(take("a", 29).await.unwrap(), None);
    assert_eq!(take("b", 1).await.unwrap(), Some(native));
    assert_eq!(take("late", 30).await.unwrap(), None);
    assert_eq!(take("late", 1).await.unwrap(), None, "it was taken away");
}

pub async fn of_twenty_that_bring_a_ticket_one_gets_in(backend: &dyn Backend) {
    let stores = [backend.open().await, backend.open().await];
    let me = person(&*stores[0], 1).await;
    stores[0].add_ticket(ticket(me, "a")).await.unwrap();
    let taking = (0..20).map(|n| stores[n % 2].take_ticket("a".into(), at(1)));
    let taken = join_all(taking).await;
    let got = taken
        .into_iter()
        .filter(|ticket| ticket.as_ref().unwrap().is_some());
    assert_eq!(got.count(), 1);
}

pub async fn what_has_had_its_time_is_forgotten_a_little_at_a_time(backend: &dyn Backend) {
    let store = backend.open().await;
    let mut people = Vec::new();
    for n in 1..=5 {
        let user_id = logged_in(&*store, n).await;
        let n = u64::try_from(n).unwrap();
        let mut ticket = ticket(user_id, &format!("{n}"));
        ticket.expires_at = at(n);
        store.add_ticket(ticket).await.unwrap();
        store
            .add_recovery(user_id, "c".into(), at(n))
            .await
            .unwrap();
        store
            .add_invite(format!("{n}"), at(0), at(n))
            .await
            .unwrap();
        store.end_all_logins(user_id, at(n)).await.unwrap();
        people.push(user_id);
    }
    // Of each kind the first two, then the third, whose time has just come.
    assert_eq!(store.tidy(at(3), at(3), 2).await.unwrap(), 8);
    assert_eq!(store.tidy(at(3), at(3), 2).await.unwrap(), 4);
    assert_eq!(store.tidy(at(3), at(3), 2).await.unwrap(), 0);
    let left: Vec<UserId> = revoked(&*store).await.into_iter().map(|r| r.0).collect();
    assert_eq!(left, [people[4], people[3]]);
    let take = |hash: &str| store.take_ticket(hash.to_owned(), at(0));
    assert_eq!(take("3").await.unwrap(), None);
    assert!(take("4").await.unwrap().is_some());
    let logins = at(1).plus(DAY);
    assert_eq!(stands(&*store, people[0], 1).await, Some(1));
    assert_eq!(store.tidy(logins, at(0), 9).await.unwrap(), 5 + 2 + 2 + 1);
    for (n, user_id) in (1..).zip(people) {
        assert_eq!(stands(&*store, user_id, n).await, None);
    }
}
