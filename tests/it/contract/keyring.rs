//! Data keys, as they are stored.

use super::{Backend, person, user};
use deepme::domain::UserId;
use deepme::domain::keyring::WrappedKey;
use futures_util::future::join_all;

fn key(user_id: UserId, master: &str, wrapped: &str) -> WrappedKey {
    WrappedKey {
        user_id,
        master: master.to_owned(),
        wrapped: wrapped.to_owned(),
    }
}

pub async fn a_person_has_one_data_key_whoever_is_first(backend: &dyn Backend) {
    let stores = [backend.open().await, backend.open().await];
    let me = person(&*stores[0], 1).await;
    assert_eq!(stores[0].data_key(me).await.unwrap(), None);
    let racing = (0..20).map(|n| stores[n % 2].add_data_key(key(me, "m", &format!("wrapped {n}"))));
    let told: Vec<_> = join_all(racing).await;
    let first = stores[1].data_key(me).await.unwrap();
    assert!(first.is_some());
    for told in told {
        assert_eq!(told.unwrap(), first);
    }
}

pub async fn a_data_key_needs_its_person(backend: &dyn Backend) {
    let store = backend.open().await;
    let nobody = user(1).user_id;
    assert_eq!(
        store.add_data_key(key(nobody, "m", "w")).await.unwrap(),
        None
    );
    assert_eq!(store.data_key(nobody).await.unwrap(), None);
    assert_eq!(store.masters().await.unwrap(), Vec::<String>::new());
}

pub async fn a_data_key_is_wrapped_again_only_by_who_knows_how_it_is(backend: &dyn Backend) {
    let store = backend.open().await;
    let me = person(&*store, 1).await;
    let (old, new) = (key(me, "old", "1"), key(me, "new", "2"));
    store.add_data_key(old.clone()).await.unwrap();
    for wrong in [key(me, "old", "x"), key(me, "x", "1"), new.clone()] {
        assert!(!store.rewrap_data_key(wrong, new.clone()).await.unwrap());
    }
    assert_eq!(store.data_key(me).await.unwrap(), Some(old.clone()));
    assert!(
        store
            .rewrap_data_key(old.clone(), new.clone())
            .await
            .unwrap()
    );
    assert!(!store.rewrap_data_key(old, new.clone()).await.unwrap());
    assert_eq!(store.data_key(me).await.unwrap(), Some(new));
}

pub async fn data_keys_are_listed_by_person_besides_those_of_a_master(backend: &dyn Backend) {
    let store = backend.open().await;
    for n in 1..=5 {
        let someone = person(&*store, n).await;
        let master = if n == 3 { "new" } else { "old" };
        let added = store.add_data_key(key(someone, master, &n.to_string()));
        added.await.unwrap();
    }
    let page = async |after, limit| {
        let keys = store.data_keys_besides("new".to_owned(), after, limit);
        let keys = keys.await.unwrap();
        keys.into_iter().map(|key| key.wrapped).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 2).await, ["1", "2"]);
    assert_eq!(page(Some(user(2).user_id), 2).await, ["4", "5"]);
    assert_eq!(page(Some(user(5).user_id), 2).await, Vec::<String>::new());
    assert_eq!(store.masters().await.unwrap(), ["new", "old"]);
}

pub async fn the_master_of_the_first_who_claims_it_stands_until_it_is_replaced(
    backend: &dyn Backend,
) {
    let stores = [backend.open().await, backend.open().await];
    let claim = |n: usize, id: &str| stores[n].claim_master(id.to_owned());
    assert_eq!(claim(0, "a").await.unwrap(), "a");
    assert_eq!(claim(1, "b").await.unwrap(), "a");
    let replace = |old: &str, new: &str| stores[1].replace_master(old.into(), new.into());
    assert!(!replace("b", "c").await.unwrap());
    assert!(replace("a", "c").await.unwrap());
    assert_eq!(claim(0, "a").await.unwrap(), "c");
    // It is another thing than the keys that sign tokens.
    let keys = stores[0].claim_keys("print".to_owned()).await.unwrap();
    assert_eq!(keys, "print");
}
