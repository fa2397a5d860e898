//! What is no backup, or not a whole one, or not with the right keys, is not put back.

use super::{Kind, back_up, examine, lived_in, masters, serve};
use deepme::auth::SystemRandom;
use deepme::auth::seal::MasterKeys;
use deepme::service::backup::beside;
use std::sync::Arc;
use tempfile::TempDir;

/// Bytes that were changed, a file that was cut, the wrong keys: every one is an error that says what it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_as_it_was_written_is_not_put_back() {
    let server = serve(Kind::File, &Arc::new(tempfile::tempdir().unwrap())).await;
    lived_in(&server).await;
    let made = back_up(Kind::File, &server).await;
    let keys = masters(&server.dir);
    let whole = std::fs::read(&made.file).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let other = dir.path().join("other.backup");
    let keyring = made.file.with_file_name("deepme.keyring");
    std::fs::copy(&keyring, dir.path().join("deepme.keyring")).unwrap();
    let refused = async |bytes: &[u8], keys: &Arc<MasterKeys>| {
        std::fs::write(&other, bytes).unwrap();
        let refused = examine(&other, keys).await;
        refused.map(|_| ()).unwrap_err().message().to_owned()
    };
    std::fs::write(&other, &whole).unwrap();
    examine(&other, &keys).await.unwrap();
    // Of a header that was changed the key is another one.
    let header = whole.iter().position(|byte| *byte == b'\n').unwrap();
    for at in [
        header / 2,
        header - 3,
        header + 1,
        whole.len() / 2,
        whole.len() - 1,
    ] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        let message = refused(&changed, &keys).await;
        assert!(
            ["damaged", "no file of deepme", "is missing"]
                .iter()
                .any(|what| message.contains(what)),
            "byte {at}: {message}"
        );
    }
    for length in [0, header, header + 1, whole.len() / 2, whole.len() - 1] {
        let message = refused(&whole[..length], &keys).await;
        assert!(
            message.contains("damaged") || message.contains("no file of deepme"),
            "cut at {length}: {message}"
        );
    }
    let message = refused(&[&whole[..], b"x"].concat(), &keys).await;
    assert!(message.contains("damaged"), "{message}");
    let strangers = Arc::new(MasterKeys::generate(&SystemRandom).unwrap());
    let message = refused(&whole, &strangers).await;
    let (wanted, has) = (keys.current(), strangers.current());
    assert!(
        message.contains(wanted) && message.contains(has),
        "{message}"
    );
    let message = refused(b"SQLite format 3\0", &keys).await;
    assert!(message.contains("no file of deepme backup"), "{message}");
    // A backup is no keyring, and there must be one.
    std::fs::copy(&made.file, dir.path().join("deepme.keyring")).unwrap();
    let message = refused(&whole, &keys).await;
    assert!(
        message.contains("deepme.keyring: this is no file"),
        "{message}"
    );
    std::fs::remove_file(dir.path().join("deepme.keyring")).unwrap();
    let message = refused(&whole, &keys).await;
    assert!(message.contains("--keyring"), "{message}");
}

/// A keyring from before the backup does not know who came in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_keyring_is_refused() {
    let server = serve(Kind::File, &Arc::new(tempfile::tempdir().unwrap())).await;
    lived_in(&server).await;
    let first = back_up(Kind::File, &server).await;
    let keyring = beside(&first.file);
    let old = std::fs::read(&keyring).unwrap();
    server.clock.advance(std::time::Duration::from_mins(1));
    let second = back_up(Kind::File, &server).await;
    examine(&first.file, &masters(&server.dir)).await.unwrap();
    std::fs::write(&keyring, old).unwrap();
    let refused = examine(&second.file, &masters(&server.dir)).await;
    let message = refused.map(|_| ()).unwrap_err().message().to_owned();
    assert!(message.contains("before the backup of"), "{message}");
}

/// A keyring of another database that has the same master key: its silence about these people is no erasure.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keyring_that_knows_nobody_is_refused() {
    let server = serve(Kind::File, &Arc::new(tempfile::tempdir().unwrap())).await;
    lived_in(&server).await;
    let made = back_up(Kind::File, &server).await;
    let elsewhere = Arc::new(tempfile::tempdir().unwrap());
    let other = serve(Kind::File, &elsewhere).await;
    let key = |dir: &TempDir| dir.path().join("data/master.key");
    std::fs::copy(key(&server.dir), key(&elsewhere)).unwrap();
    other.clock.advance(std::time::Duration::from_mins(2));
    let others = back_up(Kind::File, &other).await;
    std::fs::copy(beside(&others.file), beside(&made.file)).unwrap();
    let refused = examine(&made.file, &masters(&server.dir)).await;
    let message = refused.map(|_| ()).unwrap_err().message().to_owned();
    assert!(message.contains("knows none of the people"), "{message}");
}
