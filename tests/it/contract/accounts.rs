//! Accounts: one an address, found as they were made.

use super::{Backend, at, person, user};
use deepme::domain::user::{Email, Role, UserFilter};
use deepme::domain::{ErrorCode, Timestamp, UserId};
use deepme::store::SCHEMA_VERSION;
use futures_util::future::join_all;
use std::sync::Arc;
use uuid::Uuid;

pub async fn the_schema_is_the_one_this_program_works_with(backend: &dyn Backend) {
    let store = backend.open().await;
    assert_eq!(store.schema_version().await.unwrap(), SCHEMA_VERSION);
}

pub async fn the_keys_of_the_first_who_claims_them_stand(backend: &dyn Backend) {
    let stores = [backend.open().await, backend.open().await];
    let claiming = (0..20).map(|n| stores[n % 2].claim_keys(format!("{n}")));
    let claimed: Vec<String> = join_all(claiming)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert!(
        claimed.iter().all(|keys| *keys == claimed[0]),
        "{claimed:?}"
    );
    let again = stores[0].claim_keys("other".to_owned()).await.unwrap();
    assert_eq!(again, claimed[0]);
}

pub async fn an_account_is_found_as_it_was_made(backend: &dyn Backend) {
    let store = backend.open().await;
    let mut made = user(1);
    made.token_epoch = 3;
    made.role = Role::Admin;
    made.disabled_at = Some(Timestamp::from_micros(-1));
    store.add_user(made.clone(), "hash".into()).await.unwrap();
    assert_eq!(store.user(made.user_id).await.unwrap(), Some(made.clone()));
    let found = store.user_by_email(made.email.clone()).await.unwrap();
    assert_eq!(found, Some((made, "hash".to_owned())));
    let nobody = UserId(Uuid::from_u128(2));
    assert_eq!(store.user(nobody).await.unwrap(), None);
    let email = Email::parse("person2@example.com").unwrap();
    assert_eq!(store.user_by_email(email).await.unwrap(), None);
}

pub async fn an_address_has_one_account_whatever_its_case(backend: &dyn Backend) {
    let store = backend.open().await;
    let mut first = user(1);
    first.email = Email::parse("Çelik@Example.com").unwrap();
    store.add_user(first.clone(), "first".into()).await.unwrap();
    let mut second = user(2);
    second.email = Email::parse("c\u{327}ELIK@EXAMPLE.COM").unwrap();
    let taken = store.add_user(second.clone(), "second".into()).await;
    assert_eq!(taken.unwrap_err().code(), ErrorCode::EmailTaken);
    assert_eq!(store.user(second.user_id).await.unwrap(), None);
    let found = store.user_by_email(second.email).await.unwrap();
    assert_eq!(found, Some((first, "first".to_owned())));
    // The refusal spoiled nothing.
    person(&*store, 3).await;
}

pub async fn twenty_racers_for_an_address_make_one_account(backend: &dyn Backend) {
    let store = backend.open().await;
    let other = backend.open().await;
    let adding = (1..=20).map(|n| {
        let store = Arc::clone(if n % 2 == 0 { &store } else { &other });
        let mut user = user(n);
        user.email = Email::parse("one@example.com").unwrap();
        tokio::spawn(async move { store.add_user(user, format!("{n}")).await })
    });
    let made = join_all(adding.collect::<Vec<_>>()).await;
    let made = made.into_iter().map(Result::unwrap);
    let (made, refused): (Vec<_>, Vec<_>) = made.partition(Result::is_ok);
    assert_eq!(made.len(), 1);
    for refusal in refused {
        assert_eq!(refusal.unwrap_err().code(), ErrorCode::EmailTaken);
    }
    assert_eq!(
        store
            .users(UserFilter::default(), None, 100)
            .await
            .unwrap()
            .len(),
        1
    );
}

pub async fn accounts_are_listed_newest_first_by_pages(backend: &dyn Backend) {
    let store = backend.open().await;
    // Two made in each second, one of them later by a microsecond, and four at the same time.
    let times = [5, 5, 5, 5, 0, 0, 9].map(at);
    for (n, time) in (1..).zip(times) {
        let mut user = user(n);
        user.created_at = time;
        if n == 6 {
            user.created_at = Timestamp::from_micros(time.as_micros() + 1);
        }
        store.add_user(user, "h".into()).await.unwrap();
    }
    let all = store.users(UserFilter::default(), None, 100).await.unwrap();
    let ids: Vec<u128> = all.iter().map(|user| user.user_id.0.as_u128()).collect();
    assert_eq!(ids, [7, 4, 3, 2, 1, 6, 5]);
    for size in 1..=8 {
        let mut pages = Vec::new();
        let mut before = None;
        loop {
            let page = store
                .users(UserFilter::default(), before, size)
                .await
                .unwrap();
            assert!(page.len() <= size as usize);
            let Some(last) = page.last() else { break };
            before = Some((last.created_at, last.user_id));
            pages.extend(page);
        }
        assert_eq!(pages, all, "pages of {size}");
    }
    assert_eq!(
        store.users(UserFilter::default(), None, 0).await.unwrap(),
        []
    );
}

pub async fn a_password_is_replaced_only_by_who_knows_the_old_hash(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, you) = (person(&*store, 1).await, person(&*store, 2).await);
    let change = |user_id, old: &str, new: &str| {
        store.change_password(super::logins::change(
            user_id,
            old,
            new,
            Uuid::new_v4().as_u128(),
        ))
    };
    assert_eq!(change(me, "hash 2", "new").await.unwrap(), None);
    assert_eq!(change(me, "", "new").await.unwrap(), None);
    assert_eq!(change(me, "hash 1", "new").await.unwrap(), Some(1));
    assert_eq!(change(me, "hash 1", "newer").await.unwrap(), None);
    assert_eq!(change(me, "new", "newer").await.unwrap(), Some(2));
    let nobody = UserId(Uuid::from_u128(3));
    assert_eq!(change(nobody, "hash 1", "new").await.unwrap(), None);
    let found = store.user_by_email(user(1).email).await.unwrap().unwrap();
    assert_eq!((found.0.token_epoch, found.1.as_str()), (2, "newer"));
    let other = store.user_by_email(user(2).email).await.unwrap().unwrap();
    assert_eq!((other.0.user_id, other.0.token_epoch), (you, 0));
    assert_eq!(other.1, "hash 2");
}

pub async fn of_twenty_password_changes_one_counts(backend: &dyn Backend) {
    let store = backend.open().await;
    let me = person(&*store, 1).await;
    let changing = (0..20u128).map(|n| {
        let new = format!("new {n}");
        store.change_password(super::logins::change(me, "hash 1", &new, n))
    });
    let epochs = join_all(changing).await;
    let won: Vec<(usize, i64)> = epochs
        .into_iter()
        .enumerate()
        .filter_map(|(n, epoch)| epoch.unwrap().map(|epoch| (n, epoch)))
        .collect();
    assert_eq!(won.len(), 1, "{won:?}");
    let found = store.user_by_email(user(1).email).await.unwrap().unwrap();
    assert_eq!(
        (found.0.token_epoch, found.1),
        (won[0].1, format!("new {}", won[0].0))
    );
}
