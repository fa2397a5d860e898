//! `deepme keys rotate` beside a server that runs.

use super::{Machine, PASSWORD};
use crate::security::keys::kid;
use deepme::client::{Client, ConnectOptions};

fn ids(machine: &Machine) -> Vec<String> {
    let shown = machine.run(&["keys", "show", "--json"], "").ok().json();
    let keys = shown["keys"].as_array().unwrap().iter();
    keys.map(|id| id.as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_06_a_running_server_takes_over_a_rotated_key() {
    let machine = Machine::new();
    machine.add_user("jiwoo");
    let mut server = machine.serve(&[], &[]);
    let stranger = Client::new(&server.url()).unwrap();
    let email = "jiwoo@example.com";
    let before = stranger.login_v1(email, PASSWORD).await.unwrap();
    let client = stranger.with_token(&before.access_token.0).unwrap();
    let mut socket = client.connect(&ConnectOptions::default()).await.unwrap();
    let first = ids(&machine);

    let rotated = machine.run(&["keys", "rotate"], "").ok();
    let second = ids(&machine);
    assert!(second.len() == 2 && second[1] == first[0] && second[0] != first[0]);
    assert!(rotated.out.contains(&second[0]) && rotated.out.contains("reload"));
    server.signal("-HUP");
    server.line(&second[0]);
    client.me().await.unwrap();
    let refresh = before.refresh_token.unwrap().0;
    let after = stranger.refresh(&refresh).await.unwrap();
    assert_eq!(kid(&after.access_token.0), second[0]);
    // The first key goes with the next rotation, or when it is dropped.
    machine.run(&["keys", "rotate", "--drop-old"], "").ok();
    assert_eq!(ids(&machine), second[..1]);
    server.signal("-HUP");
    server.line("signing keys were reloaded");
    assert_eq!(client.me().await.unwrap_err().status(), Some(401));
    let next = stranger.with_token(&after.access_token.0).unwrap();
    next.me().await.unwrap();
    assert!(matches!(
        socket.next().await,
        deepme::client::Event::Frame(_)
    ));
    machine.run(&["keys", "rotate"], "").ok();
    machine.run(&["keys", "rotate"], "").ok();
    let third = ids(&machine);
    assert!(third.len() == 2 && !third.contains(&second[0]));

    // A file that is broken or gone changes nothing.
    let file = machine.path("data/token.key");
    for broken in [Some("nonsense"), None] {
        match broken {
            Some(text) => std::fs::write(&file, text).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        server.signal("-HUP");
        server.line("was not reloaded");
        next.me().await.unwrap();
        assert_eq!(file.exists(), broken.is_some(), "none is made");
    }
    machine
        .run(&["keys", "rotate"], "")
        .failed(2, "there are no keys");
}

#[test]
fn keys_are_rotated_one_way_at_a_time() {
    let machine = Machine::new();
    machine.run(&["keys", "init"], "").ok();
    let before = ids(&machine);
    machine
        .run(&["keys", "rotate", "--sign"], "")
        .failed(1, "no second key");
    for two in [
        ["--master", "--sign"],
        ["--master", "--drop-old"],
        ["--sign", "--drop-old"],
    ] {
        let args = [&["keys", "rotate"][..], &two].concat();
        machine.run(&args, "").failed(2, "cannot be used with");
    }
    assert_eq!(ids(&machine), before);
}
