//! A server under a supervisor: signals, and what systemd hears.

use super::{Machine, Serving};
use crate::cluster::cluster;
use crate::proxy::{Proxy, Way};
use crate::raw::Ask;
use crate::upstream::{Reply, Upstream, done, ends, says};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What systemd is on the other end of `NOTIFY_SOCKET`.
struct Systemd {
    socket: UnixDatagram,
    path: String,
}

impl Systemd {
    fn on(machine: &Machine) -> Self {
        let path = machine.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let path = path.to_str().unwrap().to_owned();
        Self { socket, path }
    }

    /// The next message.
    fn hears(&self) -> String {
        let mut bytes = [0; 1024];
        let size = self.socket.recv(&mut bytes).expect("a message in time");
        String::from_utf8(bytes[..size].to_vec()).unwrap()
    }

    /// What is already there is not of interest.
    fn forgets(&self) {
        self.socket.set_nonblocking(true).unwrap();
        while self.socket.recv(&mut [0; 1024]).is_ok() {}
        self.socket.set_nonblocking(false).unwrap();
    }

    /// The next message that says this; others are skipped.
    fn hears_of(&self, what: &str) -> String {
        loop {
            let heard = self.hears();
            if heard.lines().any(|line| line == what) {
                return heard;
            }
        }
    }
}

/// An account on a server: its token.
async fn token(server: &Serving) -> String {
    let account =
        r#"{"name":"jiwoo","email":"jiwoo@example.com","password":"correct horse battery"}"#;
    for path in ["/register", "/login"] {
        let answer = Ask::new("POST", path)
            .json(account)
            .send_to(server.address)
            .await;
        if path == "/login" {
            return answer.json()["access_token"].as_str().unwrap().to_owned();
        }
    }
    unreachable!()
}

/// Says something; what the model was told before it.
async fn system_prompt(server: &Serving, token: &str, upstream: &mut Upstream) -> String {
    upstream.reply(Reply::Stream(vec![says("네"), ends("stop"), done()]));
    let answer = Ask::new("POST", "/emotion/steps/generate")
        .bearer(token)
        .json(r#"{"user_input":"안녕","system_prompt":"짧게 말해줘"}"#)
        .send_to(server.address)
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let request = upstream.request().await;
    request.body["messages"][0]["content"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_puts_the_new_configuration_in_force() {
    let machine = Machine::new();
    let systemd = Systemd::on(&machine);
    let mut upstream = Upstream::start().await;
    let base_url = format!("http://{}/v1", upstream.address);
    machine.write("config.toml", "[log]\nlevel = \"warn\"\n");
    let env = [
        ("OPENAI_BASE_URL", base_url.as_str()),
        ("NOTIFY_SOCKET", &systemd.path),
    ];
    let mut server = machine.serve(&[], &env);
    systemd.hears_of("READY=1");
    let token = token(&server).await;
    let told = system_prompt(&server, &token, &mut upstream).await;
    assert!(told.contains("짧게 말해줘") && !told.starts_with("You are Noa"));

    let new = "[log]\nlevel = \"info\"\n[prompts]\nclient = \"ignore\"\nlanguage = \"en\"\n\
               [server]\nping_seconds = 7\n[llm]\nchain = [\"openai\", \"builtin\"]\n";
    machine.write("config.toml", new);
    server.signal("-HUP");
    let reloading = systemd.hears_of("RELOADING=1");
    let since = reloading
        .lines()
        .find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
    assert!(since.unwrap().parse::<u64>().unwrap() > 0, "{reloading}");
    systemd.hears_of("READY=1");
    let line = server.line("was reloaded");
    for key in ["log.level", "prompts.client", "prompts.language"] {
        assert!(line.contains(key), "{line}");
    }
    let line = server.line("until the next start");
    for key in ["llm.chain", "server.ping_seconds"] {
        assert!(line.contains(key), "{line}");
    }
    // The address of --listen is not one of them: the command line wins as it did at the start.
    assert!(!line.contains("server.listen"), "{line}");
    let told = system_prompt(&server, &token, &mut upstream).await;
    assert!(
        !told.contains("짧게 말해줘") && told.starts_with("You are Noa"),
        "{told}"
    );
    server.line("turn ended");

    // Back: nothing is logged any more that was not before.
    machine.write("config.toml", "[log]\nlevel = \"warn\"\n");
    server.signal("-HUP");
    systemd.hears_of("RELOADING=1");
    systemd.hears_of("READY=1");
    system_prompt(&server, &token, &mut upstream).await;
    let stopped = server.stop();
    systemd.hears_of("STOPPING=1");
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert_eq!(stopped.err.matches("turn ended").count(), 1, "{stopped:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_configuration_changes_nothing_and_its_key_is_named() {
    let machine = Machine::new();
    let mut upstream = Upstream::start().await;
    let base_url = format!("http://{}/v1", upstream.address);
    let good = "[prompts]\nclient = \"ignore\"\n";
    machine.write("config.toml", good);
    let mut server = machine.serve(&[], &[("OPENAI_BASE_URL", &base_url)]);
    let token = token(&server).await;
    for (broken, key) in [
        (
            "[prompts]\nclient = \"append\"\nlanguage = \"canary\"\n",
            "language",
        ),
        (
            "[prompts]\nclient = \"append\"\nclients = \"canary\"\n",
            "clients",
        ),
        (
            "[prompts]\nclient = \"append\"\n[limits]\ninput_bytes = 0\n",
            "limits.input_bytes",
        ),
        (
            "[prompts]\nclient = \"append\"\n[log]\nlevel = \"canary=loud\"\n",
            "log.level",
        ),
        ("[prompts\n", "line 1"),
    ] {
        machine.write("config.toml", broken);
        server.signal("-HUP");
        let line = server.line("was not reloaded");
        assert!(line.contains(key), "{key}: {line}");
        let told = system_prompt(&server, &token, &mut upstream).await;
        assert!(!told.contains("짧게 말해줘"), "{key}: the old one holds");
    }
    std::fs::remove_file(machine.path("config.toml")).unwrap();
    server.signal("-HUP");
    let line = server.line("was reloaded");
    assert!(
        line.contains("prompts.client"),
        "no file is the defaults: {line}"
    );
    assert_eq!(server.stop().code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_drains_nothing_is_reloaded() {
    let machine = Machine::new();
    let model = crate::talkers::slow_model(10_000, Duration::from_millis(20)).await;
    let env = [
        ("OPENAI_BASE_URL", model.as_str()),
        ("DEEPME_SERVER__DRAIN_SECONDS", "2"),
    ];
    let mut server = machine.serve(&[], &env);
    let token = token(&server).await;
    let address = server.address;
    let turn = tokio::spawn(async move {
        let generating = Ask::new("POST", "/emotion/steps/generate").bearer(&token);
        generating
            .json(r#"{"user_input":"말해줘"}"#)
            .send_to(address)
            .await
    });
    let database = machine.path("data/deepme.db");
    let begun = async {
        let database = rusqlite::Connection::open(database).unwrap();
        let count =
            || database.query_row("SELECT count(*) FROM steps", [], |row| row.get::<_, i64>(0));
        while count().unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), begun)
        .await
        .unwrap();
    server.terminate();
    server.line("draining");
    server.signal("-HUP");
    server.line("not reloading");
    assert_eq!(turn.await.unwrap().json()["status"], "interrupted");
    assert_eq!(server.ended().code, 0);
}

/// Half of this, and it is said to be alive.
const PERIOD: Duration = Duration::from_secs(2);

fn watched(systemd: &Systemd) -> [(&str, &str); 2] {
    [
        ("NOTIFY_SOCKET", &systemd.path),
        ("WATCHDOG_USEC", "2000000"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_alive_says_so_in_time_and_what_it_does() {
    let machine = Machine::new();
    let systemd = Systemd::on(&machine);
    let server = machine.serve(&[], &watched(&systemd));
    let ready = systemd.hears_of("READY=1");
    assert!(
        ready.contains("STATUS=serving: 0 turns running, 0 sockets open"),
        "{ready}"
    );
    systemd.hears_of("WATCHDOG=1");
    for _ in 0..3 {
        let begun = Instant::now();
        systemd.hears_of("WATCHDOG=1");
        assert!(begun.elapsed() < PERIOD, "{:?}", begun.elapsed());
    }
    let token = token(&server).await;
    let open = Ask::new("GET", "/ws/emotion").bearer(&token).upgrade();
    let mut socket = crate::raw::connect(server.address).await;
    open.write_to(&mut socket).await;
    while !systemd.hears_of("WATCHDOG=1").contains("1 sockets open") {}
    server.terminate();
    let stopping = systemd.hears_of("STOPPING=1");
    assert!(
        stopping.contains("STATUS=draining: 0 turns running"),
        "{stopping}"
    );
    assert_eq!(server.ended().code, 0);
}

/// Without `WATCHDOG_USEC` nobody is waiting, and one for another process is none for this one.
#[test]
fn nobody_is_told_who_did_not_ask() {
    let machine = Machine::new();
    let systemd = Systemd::on(&machine);
    let mut env = watched(&systemd).to_vec();
    env.push(("WATCHDOG_PID", "1"));
    let server = machine.serve(&[], &env);
    systemd.hears_of("READY=1");
    std::thread::sleep(PERIOD);
    server.terminate();
    let next = systemd.hears();
    assert!(next.contains("STOPPING=1"), "{next}");
    assert_eq!(server.ended().code, 0);
}

/// Every sync of this process takes this long from now on.
fn slow_disk(process: u32, delay: Duration) -> Child {
    let inject = format!("inject=fsync,fdatasync:delay_enter={}", delay.as_micros());
    let mut tracer = Command::new("strace")
        .args([
            "-f",
            "-e",
            "trace=fsync,fdatasync",
            "-e",
            &inject,
            "-o",
            "/dev/null",
            "-p",
        ])
        .arg(process.to_string())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tests need strace: see tests/run");
    let mut said = BufReader::new(tracer.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(line.contains("attached"), "{line}");
    std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
    tracer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_is_stuck_is_not_said_to_be_alive() {
    let machine = Machine::new();
    let systemd = Systemd::on(&machine);
    let mut server = machine.serve(&[], &watched(&systemd));
    systemd.hears_of("WATCHDOG=1");
    let mut tracer = slow_disk(server.id(), PERIOD * 4);
    let address = server.address;
    let account =
        r#"{"name":"jiwoo","email":"jiwoo@example.com","password":"correct horse battery"}"#;
    let written = tokio::spawn(async move {
        Ask::new("POST", "/register")
            .json(account)
            .send_to(address)
            .await
    });
    // The tracer slows the rest down, too: the runtime may have been late for a moment before.
    let line = server.line("the thread that writes to the database");
    assert!(line.contains("stuck"), "{line}");
    systemd.forgets();
    let silent_since = Instant::now();
    // The rest lives, and says what it cannot do.
    let health = Ask::new("GET", "/health/live").send_to(address).await;
    assert_eq!(health.status, 200);
    assert_eq!(written.await.unwrap().status, 503);
    systemd.hears_of("WATCHDOG=1");
    let silence = silent_since.elapsed();
    assert!(silence > PERIOD, "systemd would have ended it: {silence:?}");
    tracer.kill().unwrap();
    tracer.wait().unwrap();
    assert_eq!(server.stop().code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_on_a_server_that_is_gone_is_no_reason_to_be_ended() {
    let url = cluster().database().await;
    let target = SocketAddr::from(([127, 0, 0, 1], cluster().port()));
    let proxy = Proxy::to(target).await;
    let through = url.replacen(&target.to_string(), &proxy.address.to_string(), 1);
    assert_ne!(through, url);
    let machine = Machine::new();
    let systemd = Systemd::on(&machine);
    let mut env = watched(&systemd).to_vec();
    env.push(("DEEPME_DATABASE__URL", &through));
    machine.run_with(&["migrate", "up"], "", &env).ok();
    machine.run_with(&["keys", "init"], "", &env).ok();
    let server = machine.serve(&[], &env);
    systemd.hears_of("WATCHDOG=1");
    proxy.up(Way::Lost);
    proxy.down(Way::Lost);
    let health = Ask::new("GET", "/health").send_to(server.address).await;
    assert_eq!(health.status, 503);
    systemd.forgets();
    for _ in 0..3 {
        let begun = Instant::now();
        systemd.hears_of("WATCHDOG=1");
        assert!(begun.elapsed() < PERIOD, "{:?}", begun.elapsed());
    }
    assert_eq!(server.stop().code, 0);
}

/// Socket activation: what comes while the server is not there, or is replaced by another, waits and is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_is_handed_over_outlives_the_server() {
    let machine = Machine::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    for _ in 0..2 {
        let mut waiting = TcpStream::connect(address).unwrap();
        waiting
            .write_all(b"GET /health HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
            .unwrap();
        // As descriptor 3, as systemd does it; by a shell, which knows its own process id.
        let script = r#"exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$0" serve --listen 127.0.0.1:1"#;
        let mut command = Command::new("sh");
        machine.prepare(&mut command);
        command
            .args(["-c", script])
            .arg(super::binary())
            .stdin(OwnedFd::from(listener.try_clone().unwrap()));
        let mut server = Machine::started(command);
        assert_eq!(server.address, address, "not the configured one");
        let mut answer = String::new();
        waiting.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        server.kill();
    }
    // What others reach is refused in the same way as an address of our own.
    let open = TcpListener::bind("0.0.0.0:0").unwrap();
    let script = r#"exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$0" serve"#;
    let mut command = Command::new("sh");
    machine.prepare(&mut command);
    let refused = command
        .args(["-c", script])
        .arg(super::binary())
        .stdin(OwnedFd::from(open))
        .output()
        .unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("behind_tls"), "{said}");
}
