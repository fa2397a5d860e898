//! People who talk to a server, and what they hear.

use super::PATIENCE;
use deepme::client::{Client, ConnectOptions, Event, Socket};
use deepme::domain::{SessionId, UserId};
use deepme::wire::ws::{ClientFrame, ServerFrame, SessionFrame, UserMessage};

/// A person with an account.
pub struct Person {
    pub client: Client,
    pub user_id: UserId,
    pub token: String,
    pub email: String,
}

impl Person {
    /// A socket and its first frame.
    pub async fn connect(&self, session_id: Option<SessionId>) -> (Talk, SessionFrame) {
        self.connect_with(&ConnectOptions {
            session_id,
            ..ConnectOptions::default()
        })
        .await
    }

    pub async fn connect_with(&self, options: &ConnectOptions) -> (Talk, SessionFrame) {
        let mut talk = Talk(self.client.connect(options).await.unwrap());
        match talk.frame().await {
            ServerFrame::Session(session) => (talk, session),
            other => panic!("expected the session frame, got {other:?}"),
        }
    }
}

/// A socket that does not wait for ever.
pub struct Talk(pub Socket);

/// What a turn looked like from outside.
#[derive(Debug)]
pub struct Turn {
    pub text: String,
    /// Everything but tokens, the end included.
    pub frames: Vec<ServerFrame>,
}

impl Turn {
    pub fn end(&self) -> &ServerFrame {
        self.frames.last().unwrap()
    }

    pub fn done(&self) -> &deepme::wire::ws::Done {
        match self.end() {
            ServerFrame::Done(done) => done,
            other => panic!("expected done, got {other:?}"),
        }
    }

    pub fn error(&self) -> &deepme::wire::ws::ErrorFrame {
        match self.end() {
            ServerFrame::Error { error } => error,
            other => panic!("expected an error, got {other:?}"),
        }
    }

    pub fn notices(&self) -> Vec<&str> {
        self.frames
            .iter()
            .filter_map(|frame| match frame {
                ServerFrame::Notice { notice } => Some(notice.code.as_str()),
                _ => None,
            })
            .collect()
    }
}

impl Talk {
    pub async fn event(&mut self) -> Event {
        tokio::time::timeout(PATIENCE, self.0.next())
            .await
            .expect("the server says something")
    }

    pub async fn frame(&mut self) -> ServerFrame {
        match self.event().await {
            Event::Frame(frame) => frame,
            other => panic!("expected a frame, got {other:?}"),
        }
    }

    /// The close code; frames before it are skipped.
    pub async fn closed(&mut self) -> u16 {
        loop {
            if let Event::Closed(code, _) = self.event().await {
                return code;
            }
        }
    }

    pub async fn send(&mut self, frame: &ClientFrame) {
        self.0.send(frame).await.unwrap();
    }

    pub async fn send_text(&mut self, text: &str) {
        self.0
            .send_raw(tokio_tungstenite::tungstenite::Message::text(text))
            .await
            .unwrap();
    }

    pub async fn input(&mut self, words: &str) {
        self.send(&ClientFrame::UserInput(UserMessage {
            user_input: words.into(),
            ..UserMessage::default()
        }))
        .await;
    }

    pub async fn message(&mut self, words: &str, message_id: &str, received: Option<u64>) {
        let message_id = Some(message_id.to_owned());
        let message = UserMessage {
            user_input: words.into(),
            message_id,
            received,
            ..UserMessage::default()
        };
        self.send(&ClientFrame::UserInput(message)).await;
    }

    /// The `error` frame that comes next.
    pub async fn error(&mut self) -> deepme::wire::ws::ErrorFrame {
        match self.frame().await {
            ServerFrame::Error { error } => error,
            other => panic!("expected an error, got {other:?}"),
        }
    }

    /// Everything until the turn has ended.
    pub async fn turn(&mut self) -> Turn {
        let mut turn = Turn {
            text: String::new(),
            frames: Vec::new(),
        };
        loop {
            match self.frame().await {
                ServerFrame::Token { token } => turn.text.push_str(&token),
                frame @ (ServerFrame::Done(_) | ServerFrame::Error { .. }) => {
                    turn.frames.push(frame);
                    return turn;
                }
                frame => turn.frames.push(frame),
            }
        }
    }

    /// Tokens until this text is there.
    pub async fn text(&mut self, wanted: &str) {
        let mut text = String::new();
        while text != wanted {
            match self.frame().await {
                ServerFrame::Token { token } => text.push_str(&token),
                ServerFrame::Accepted { .. } | ServerFrame::Resumed { .. } => {}
                other => panic!("expected a token, got {other:?}"),
            }
            assert!(wanted.starts_with(&text), "got {text:?}");
        }
    }
}
