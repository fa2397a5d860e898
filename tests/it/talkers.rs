//! People who do not give up: whatever happens to the connection, they come back and go on.
//!
//! What they were told is written down, so that a test can compare it with what is stored.

use deepme::client::{Client, ConnectOptions, Event, Socket};
use deepme::domain::step::StepStatus;
use deepme::domain::{SessionId, StepId};
use deepme::wire::rest::StepBody;
use deepme::wire::ws::{ClientFrame, ServerFrame, UserMessage};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// How long a client waits before it tries again; a person would wait longer.
const AGAIN: Duration = Duration::from_millis(100);

/// A turn as its person saw it.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub message_id: String,
    pub words: String,
    /// The step that the server acknowledged.
    pub accepted: Option<StepId>,
    pub text: String,
    pub status: Option<StepStatus>,
}

/// What a conversation came to.
#[derive(Debug)]
pub struct Talked {
    pub session_id: SessionId,
    pub turns: Vec<Seen>,
    /// How often the connection was lost or the server had no answer.
    pub troubles: usize,
}

/// How far all the conversations are.
#[derive(Debug, Default)]
pub struct Progress {
    /// Turns in which a token was seen.
    pub speaking: AtomicUsize,
    /// Attempts that had to be made again.
    pub troubles: AtomicUsize,
}

/// Says as many things as `turns`, one after the other, and hears every answer out.
pub async fn talk(client: Client, name: &str, turns: usize, progress: Arc<Progress>) -> Talked {
    let mut socket: Option<Socket> = None;
    let mut session_id = None;
    let mut talked = Vec::new();
    let mut troubles = 0;
    for turn in 0..turns {
        let mut seen = Seen {
            message_id: format!("{name}-{turn}"),
            words: format!("{name}의 {turn}번째 말 👩‍👩‍👧"),
            ..Seen::default()
        };
        while seen.status.is_none() {
            if attempt(&client, &mut socket, &mut session_id, &mut seen, &progress)
                .await
                .is_err()
            {
                troubles += 1;
                progress.troubles.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(AGAIN).await;
            }
        }
        talked.push(seen);
    }
    Talked {
        session_id: session_id.unwrap(),
        turns: talked,
        troubles,
    }
}

/// One more try at a turn: connects when there is no connection, says the words under their message
/// id, and follows what is said. `Err` when it has to be tried again.
async fn attempt(
    client: &Client,
    held: &mut Option<Socket>,
    session_id: &mut Option<SessionId>,
    seen: &mut Seen,
    progress: &Progress,
) -> Result<(), ()> {
    let mut socket = if let Some(socket) = held.take() {
        socket
    } else {
        let options = ConnectOptions {
            session_id: *session_id,
            ..ConnectOptions::default()
        };
        let mut socket = client.connect(&options).await.map_err(drop)?;
        let Event::Frame(ServerFrame::Session(session)) = socket.next().await else {
            return Err(());
        };
        assert!(session_id.is_none_or(|known| known == session.session_id));
        *session_id = Some(session.session_id);
        socket
    };
    let message = UserMessage {
        user_input: seen.words.clone(),
        message_id: Some(seen.message_id.clone()),
        received: Some(seen.text.chars().count() as u64),
        ..UserMessage::default()
    };
    socket
        .send(&ClientFrame::UserInput(message))
        .await
        .map_err(drop)?;
    loop {
        match socket.next().await {
            Event::Frame(ServerFrame::Accepted { accepted }) => {
                assert_eq!(accepted.user_input, seen.words);
                let step = seen.accepted.get_or_insert(accepted.step_id);
                assert_eq!(*step, accepted.step_id, "a message is one step for ever");
            }
            Event::Frame(ServerFrame::Resumed { resumed }) => {
                let from = usize::try_from(resumed.from).unwrap();
                seen.text = seen.text.chars().take(from).collect();
            }
            Event::Frame(ServerFrame::Token { token }) => {
                if seen.text.is_empty() {
                    progress.speaking.fetch_add(1, Ordering::Relaxed);
                }
                seen.text.push_str(&token);
            }
            Event::Frame(ServerFrame::Done(done)) => {
                assert_eq!(Some(done.step_id), seen.accepted);
                seen.status = Some(done.status);
                *held = Some(socket);
                return Ok(());
            }
            Event::Frame(ServerFrame::Error { error }) => {
                *held = Some(socket);
                if error.step_id.is_some() && error.step_id == seen.accepted {
                    seen.status = Some(StepStatus::Failed);
                    return Ok(());
                }
                let passing = ["unavailable", "overloaded", "turn_in_progress"];
                assert!(passing.contains(&error.code.as_str()), "{error:?}");
                return Err(());
            }
            Event::Closed(..) => return Err(()),
            _ => {}
        }
    }
}

/// What was acknowledged is stored, once, in order, and as it was shown.
pub fn compare(talked: &Talked, stored: &[StepBody]) {
    for (turn, seen) in talked.turns.iter().enumerate() {
        let steps: Vec<&StepBody> = stored
            .iter()
            .filter(|step| step.message_id.as_deref() == Some(&seen.message_id))
            .collect();
        assert_eq!(steps.len(), 1, "{seen:?}");
        let step = steps[0];
        assert_eq!(Some(step.step_id), seen.accepted);
        assert_eq!(step.user_input, seen.words);
        assert_eq!(step.step_order, i64::try_from(turn).unwrap() + 1);
        assert_eq!(step.gpt_response, seen.text, "{:?} {step:?}", seen.status);
        assert_ne!(step.status, StepStatus::Pending);
    }
    assert_eq!(stored.len(), talked.turns.len());
}

/// A model that says a word every now and then: an event stream of `words` words, `pause` apart.
pub async fn slow_model(words: usize, pause: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = speak(stream, words, pause).await;
            });
        }
    });
    format!("http://{address}/v1")
}

async fn speak(mut stream: TcpStream, words: usize, pause: Duration) -> std::io::Result<()> {
    // The request fits one read or two; what it says does not matter.
    let mut request = vec![0; 65_536];
    let _ = stream.read(&mut request).await?;
    stream
        .write_all(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n",
        )
        .await?;
    for word in 0..words {
        let event =
            serde_json::json!({"choices": [{"delta": {"content": format!("낱말{word} ")}}]});
        stream
            .write_all(format!("data: {event}\n\n").as_bytes())
            .await?;
        tokio::time::sleep(pause).await;
    }
    let end = r#"data: {"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
    stream
        .write_all(format!("{end}\n\ndata: [DONE]\n\n").as_bytes())
        .await
}

/// The servers behind a balancer; a test may change them.
pub type Servers = Arc<Mutex<Vec<SocketAddr>>>;

/// A load balancer: each connection goes to one server after the other, to the next one when a server
/// does not take it.
pub async fn balancer(servers: Servers) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for turn in 0.. {
            let Ok((mut from, _)) = listener.accept().await else {
                return;
            };
            let servers = servers.lock().unwrap().clone();
            tokio::spawn(async move {
                for n in 0..servers.len() {
                    if let Ok(mut to) =
                        TcpStream::connect(servers[(turn + n) % servers.len()]).await
                    {
                        let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
                        return;
                    }
                }
            });
        }
    });
    address
}
