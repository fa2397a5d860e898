//! What a store says of itself.

use super::Backend;
use deepme::domain::meter::Load;

pub async fn an_open_store_is_alive_and_nobody_waits(backend: &impl Backend) {
    let store = backend.open().await;
    assert!(store.alive().await);
    store.schema_version().await.unwrap();
    let Load {
        waiting,
        commits,
        connections,
    } = store.load();
    assert_eq!(waiting, 0);
    // One says how it writes, the other how it is connected.
    assert_ne!(commits.is_some(), connections.is_some());
    if let Some(connections) = connections {
        assert!(connections.open >= 1 && connections.idle <= connections.open);
    }
    let before = commits.map(|commits| (commits.commits, commits.writes));
    store.claim_keys("fingerprint".to_owned()).await.unwrap();
    assert!(store.alive().await);
    let after = store
        .load()
        .commits
        .map(|commits| (commits.commits, commits.writes));
    // To be alive is not to write.
    assert_eq!(
        after,
        before.map(|(commits, writes)| (commits + 1, writes + 1))
    );
}
