//! Invitations, codes for a new password, and what an admin does with accounts.

use super::logins::login;
use super::{Backend, at, person, session_of, user};
use deepme::domain::rights::Erased;
use deepme::domain::user::{Email, Role, UserFilter};
use deepme::domain::{ErrorCode, UserId};
use deepme::store::{Deleted, Store};
use futures_util::future::join_all;
use uuid::Uuid;

async fn hash_of(store: &dyn Store, n: u128) -> Option<(i64, String)> {
    let found = store.user_by_email(user(n).email).await.unwrap();
    found.map(|(user, hash)| (user.token_epoch, hash))
}

pub async fn an_invitation_makes_one_account(backend: &dyn Backend) {
    let store = backend.open().await;
    person(&*store, 1).await;
    store.add_invite("a".into(), at(0), at(10)).await.unwrap();
    let join = |n: u128, invite: &str, seconds: u64| {
        store.add_invited_user(user(n), "hash".into(), invite.to_owned(), at(seconds))
    };
    assert!(!join(2, "b", 1).await.unwrap(), "nobody's");
    assert!(!join(2, "a", 10).await.unwrap(), "too late");
    assert_eq!(hash_of(&*store, 2).await, None);
    // An address that has an account uses nothing up.
    let mut twin = user(3);
    twin.email = user(1).email;
    let taken = store.add_invited_user(twin, "hash".into(), "a".into(), at(1));
    assert_eq!(taken.await.unwrap_err().code(), ErrorCode::EmailTaken);
    assert!(join(2, "a", 9).await.unwrap());
    assert_eq!(hash_of(&*store, 2).await, Some((0, "hash".into())));
    assert!(!join(3, "a", 9).await.unwrap(), "used up");
    assert_eq!(hash_of(&*store, 3).await, None);
}

pub async fn of_twenty_that_bring_an_invitation_one_joins(backend: &dyn Backend) {
    let stores = [backend.open().await, backend.open().await];
    stores[0]
        .add_invite("a".into(), at(0), at(9))
        .await
        .unwrap();
    let joining = (1..=20).map(|n| {
        let store = &stores[usize::try_from(n).unwrap() % 2];
        store.add_invited_user(user(n), "hash".into(), "a".into(), at(1))
    });
    let joined = join_all(joining).await;
    let joined = joined
        .into_iter()
        .filter(|joined| *joined.as_ref().unwrap());
    assert_eq!(joined.count(), 1);
    let all = stores[1].users(UserFilter::default(), None, 100).await;
    assert_eq!(all.unwrap().len(), 1);
}

pub async fn a_code_gives_one_new_password_in_time(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, _you) = (person(&*store, 1).await, person(&*store, 2).await);
    let nobody = UserId(Uuid::from_u128(9));
    assert!(!store.add_recovery(nobody, "x".into(), at(9)).await.unwrap());
    for code in ["old", "code"] {
        assert!(store.add_recovery(me, code.into(), at(10)).await.unwrap());
    }
    let reset = |n: u128, code: &str, seconds: u64| {
        store.reset_password(user(n).email, code.to_owned(), "new".into(), at(seconds))
    };
    assert_eq!(reset(1, "old", 1).await.unwrap(), None, "it was replaced");
    assert_eq!(reset(2, "code", 1).await.unwrap(), None, "somebody else's");
    assert_eq!(reset(9, "code", 1).await.unwrap(), None, "nobody's");
    assert_eq!(reset(1, "code", 10).await.unwrap(), None, "too late");
    assert_eq!(hash_of(&*store, 1).await, Some((0, "hash 1".into())));
    assert_eq!(store.revoked_lately(9).await.unwrap(), []);
    assert_eq!(reset(1, "code", 9).await.unwrap(), Some(me));
    assert_eq!(hash_of(&*store, 1).await, Some((1, "new".into())));
    assert_eq!(store.revoked_lately(9).await.unwrap(), [(me, at(9))]);
    assert_eq!(reset(1, "code", 9).await.unwrap(), None, "used up");
    assert_eq!(hash_of(&*store, 2).await, Some((0, "hash 2".into())));
    // Who may not log in gets no password.
    store.add_recovery(me, "b".into(), at(10)).await.unwrap();
    store.disable_user(me, at(1)).await.unwrap();
    assert_eq!(reset(1, "b", 2).await.unwrap(), None);
    store.enable_user(me).await.unwrap();
    assert_eq!(reset(1, "b", 2).await.unwrap(), Some(me));
}

pub async fn of_twenty_that_bring_a_code_one_counts(backend: &dyn Backend) {
    let stores = [backend.open().await, backend.open().await];
    let me = person(&*stores[0], 1).await;
    stores[0].add_recovery(me, "c".into(), at(9)).await.unwrap();
    let asking = (0..20).map(|n| {
        stores[n % 2].reset_password(user(1).email, "c".into(), format!("new {n}"), at(1))
    });
    let asked: Vec<_> = join_all(asking).await;
    let won: Vec<usize> = (0..20)
        .filter(|n| *asked[*n].as_ref().unwrap() == Some(me))
        .collect();
    assert_eq!(won.len(), 1);
    let expected = Some((1, format!("new {}", won[0])));
    assert_eq!(hash_of(&*stores[1], 1).await, expected);
}

pub async fn a_hash_is_renewed_without_ending_a_login(backend: &dyn Backend) {
    let store = backend.open().await;
    let me = person(&*store, 1).await;
    let rehash = |old: &str| store.rehash(me, old.to_owned(), "stronger".into());
    assert!(!rehash("other").await.unwrap());
    assert!(rehash("hash 1").await.unwrap());
    assert!(!rehash("hash 1").await.unwrap());
    assert_eq!(hash_of(&*store, 1).await, Some((0, "stronger".into())));
    assert_eq!(store.revoked_lately(9).await.unwrap(), []);
}

pub async fn an_admin_sets_a_password_whatever_it_was(backend: &dyn Backend) {
    let store = backend.open().await;
    let me = person(&*store, 1).await;
    store.add_recovery(me, "c".into(), at(9)).await.unwrap();
    assert!(store.set_password(me, "set".into(), at(1)).await.unwrap());
    assert_eq!(hash_of(&*store, 1).await, Some((1, "set".into())));
    assert_eq!(store.revoked_lately(9).await.unwrap(), [(me, at(1))]);
    let reset = store.reset_password(user(1).email, "c".into(), "x".into(), at(2));
    assert_eq!(reset.await.unwrap(), None);
    let nobody = UserId(Uuid::from_u128(9));
    assert!(!store.set_password(nobody, "x".into(), at(1)).await.unwrap());
}

pub async fn an_account_is_disabled_and_enabled(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, you) = (person(&*store, 1).await, person(&*store, 2).await);
    let state = async |user_id| {
        let user = store.user(user_id).await.unwrap().unwrap();
        (user.disabled_at, user.token_epoch)
    };
    assert!(store.disable_user(me, at(1)).await.unwrap());
    assert_eq!(state(me).await, (Some(at(1)), 1));
    assert!(store.disable_user(me, at(2)).await.unwrap());
    assert_eq!(state(me).await, (Some(at(1)), 2), "since the first time");
    assert_eq!(store.revoked_lately(9).await.unwrap(), [(me, at(2))]);
    assert!(store.enable_user(me).await.unwrap());
    assert!(store.enable_user(me).await.unwrap());
    assert_eq!(state(me).await, (None, 2));
    assert_eq!(state(you).await, (None, 0));
    let nobody = UserId(Uuid::from_u128(9));
    assert!(!store.disable_user(nobody, at(1)).await.unwrap());
    assert!(!store.enable_user(nobody).await.unwrap());
}

pub async fn a_role_is_changed_and_no_login_ends_by_it(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, you) = (person(&*store, 1).await, person(&*store, 2).await);
    let state = async |user_id| {
        let user = store.user(user_id).await.unwrap().unwrap();
        (user.role, user.token_epoch)
    };
    for role in [Role::Admin, Role::Admin, Role::User] {
        assert!(store.set_role(me, role).await.unwrap());
        assert_eq!(state(me).await, (role, 0));
        assert_eq!(state(you).await, (Role::User, 0));
    }
    assert_eq!(store.revoked_lately(9).await.unwrap(), []);
    let nobody = UserId(Uuid::from_u128(9));
    assert!(!store.set_role(nobody, Role::Admin).await.unwrap());
}

pub async fn with_an_account_goes_everything_of_its_person(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, you) = (person(&*store, 1).await, person(&*store, 2).await);
    for (n, user_id) in [(1, me), (2, you)] {
        store.add_session(session_of(user_id, n)).await.unwrap();
        store.add_login(login(user_id, n)).await.unwrap();
        store
            .add_recovery(user_id, "c".into(), at(9))
            .await
            .unwrap();
    }
    let gone = store.delete_user(me, at(1)).await.unwrap();
    let erased = Erased {
        sessions: 1,
        steps: 0,
        prompts: 0,
    };
    assert_eq!(gone, Some(Deleted::With(erased)));
    assert_eq!(store.delete_user(me, at(2)).await.unwrap(), None);
    assert_eq!(store.user(me).await.unwrap(), None);
    assert_eq!(store.sessions(me, None, None).await.unwrap(), []);
    let login = super::logins::login(me, 1).login_id;
    assert_eq!(store.standing(me, login).await.unwrap(), None);
    assert_eq!(store.revoked_lately(9).await.unwrap(), [(me, at(1))]);
    assert_eq!(store.sessions(you, None, None).await.unwrap().len(), 1);
    // The address is free again.
    person(&*store, 1).await;
}

pub async fn accounts_are_filtered(backend: &dyn Backend) {
    let store = backend.open().await;
    for n in 1..=6 {
        let mut user = user(n);
        let names = ["지우", "민수", "Kim", "kim", "100%", "x_y"];
        user.name = names[usize::try_from(n).unwrap() - 1].into();
        if n % 2 == 0 {
            user.role = Role::Admin;
        }
        if n >= 5 {
            user.disabled_at = Some(at(1));
        }
        store.add_user(user, "h".into()).await.unwrap();
    }
    let list = async |role, disabled, text: Option<&str>| {
        let text = text.map(str::to_owned);
        let filter = UserFilter {
            role,
            disabled,
            text,
            guests: false,
        };
        let users = store.users(filter, None, 100).await.unwrap();
        let ids = users.iter().map(|user| user.user_id.0.as_u128());
        ids.collect::<Vec<u128>>()
    };
    assert_eq!(list(None, None, None).await, [6, 5, 4, 3, 2, 1]);
    assert_eq!(list(Some(Role::Admin), None, None).await, [6, 4, 2]);
    assert_eq!(list(Some(Role::User), Some(false), None).await, [3, 1]);
    assert_eq!(list(None, Some(true), None).await, [6, 5]);
    assert_eq!(list(None, None, Some("지우")).await, [1]);
    assert_eq!(list(None, None, Some("im")).await, [4, 3]);
    assert_eq!(list(None, None, Some("Kim")).await, [3]);
    assert_eq!(list(None, None, Some("PERSON2@")).await, [2], "an address");
    assert_eq!(list(None, None, Some("%")).await, [5], "no pattern");
    assert_eq!(list(None, None, Some("_")).await, [6]);
    assert_eq!(list(None, None, Some("nobody")).await, [0; 0]);
    let mut guest = user(7);
    guest.email = Email::placeholder(guest.user_id);
    guest.disabled_at = Some(at(1));
    store.add_user(guest, "h".into()).await.unwrap();
    for (disabled, found) in [(None, 1), (Some(true), 1), (Some(false), 0)] {
        let filter = UserFilter {
            disabled,
            guests: true,
            ..UserFilter::default()
        };
        let users = store.users(filter, None, 100).await.unwrap();
        assert_eq!(users.len(), found);
        assert!(users.iter().all(|user| user.email.address().is_none()));
    }
}

pub async fn the_keys_are_replaced_by_who_knows_them(backend: &dyn Backend) {
    let store = backend.open().await;
    let replace = |old: &str, new: &str| store.replace_keys(old.to_owned(), new.to_owned());
    assert!(!replace("a", "b").await.unwrap(), "nobody has claimed any");
    store.claim_keys("a".into()).await.unwrap();
    assert!(!replace("x", "b").await.unwrap());
    assert!(replace("a", "b").await.unwrap());
    assert!(!replace("a", "c").await.unwrap());
    assert_eq!(store.claim_keys("a".into()).await.unwrap(), "b");
}
