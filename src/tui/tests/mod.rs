//! Tests of the update and the view as a whole.
//!
//! Owns [`World`], in which a model lives without a shell: a scripted one for single transitions.
//! [`network`] has a server and a network that loses things, [`screens`] has the pictures.

mod connection;
mod moving;
mod network;
mod peer;
mod renewal;
mod screens;
mod talking;

use super::Login;
use super::chat::Chat;
use super::link::{LinkId, Wait};
use super::model::{Model, Screen};
use super::msg::{Effect, LinkEvent, Msg};
use super::transcript::{Entry, Phase};
use super::update::{start, update};
use crate::client::ClientError;
use crate::domain::prompt::Language;
use crate::domain::step::{FinishReason, StepStatus};
use crate::domain::{SessionId, StepId, Timestamp, UserId};
use crate::wire::rest::{Problem, Secret, SessionBody, StepBody};
use crate::wire::ws::{
    Accepted, ClientFrame, Done, ErrorFrame, Notice, Resource, Resume, Resumed, RunningTurn,
    Safety, ServerFrame, SessionFrame, UserMessage,
};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::tz::{Offset, TimeZone};
use std::time::Duration;
use uuid::Uuid;

/// 2026-11-23 21:00 in Seoul.
const NOW: Timestamp = Timestamp::from_micros(1_795_435_200_000_000);

fn user() -> UserId {
    UserId(Uuid::from_u128(1))
}

fn session_id(n: u128) -> SessionId {
    SessionId(Uuid::from_u128(0xabc_0000 + n))
}

fn step_id(n: u128) -> StepId {
    StepId(Uuid::from_u128(100 + n))
}

fn login() -> Login {
    Login {
        token: Secret::from("t"),
        refresh: None,
        renew_at: None,
        user_id: user(),
        name: "지우".to_owned(),
    }
}

/// A model and what it asked for since that was last looked at.
struct World {
    model: Model,
    effects: Vec<Effect>,
    names: u32,
}

impl World {
    fn new(language: Language) -> Self {
        let zone = TimeZone::fixed(Offset::constant(9));
        let model = Model::new(language, zone, "http://127.0.0.1:8000/".to_owned(), NOW);
        Self {
            model,
            effects: Vec::new(),
            names: 0,
        }
    }

    /// Logged in and at the list.
    fn logged_in(language: Language) -> Self {
        let mut world = Self::new(language);
        let effects = start(&mut world.model, Some(login()));
        assert_eq!(effects, [Effect::ListSessions(user())]);
        world.tell(Msg::Sessions(Ok(Vec::new())));
        world
    }

    /// In a new conversation that is connected.
    fn talking() -> Self {
        let mut world = Self::logged_in(Language::Korean);
        world.key(KeyCode::Enter);
        world.connected();
        assert!(matches!(
            world.take()[..],
            [Effect::Connect {
                session_id: None,
                wait: Wait::No,
                ..
            }]
        ));
        world
    }

    /// In a conversation whose first turn has begun with this much of an answer.
    fn answering(answer: &str) -> Self {
        let mut world = Self::talking();
        world.say("안녕");
        world.frame(accepted(1, Some("m1"), "안녕"));
        world.frame(token(answer));
        world.take();
        world
    }

    fn tell(&mut self, msg: Msg) {
        let mut effects = update(&mut self.model, msg);
        effects.retain(|effect| match effect {
            Effect::Name(words) => {
                self.names += 1;
                let message_id = format!("m{}", self.names);
                let named = Msg::Named {
                    words: words.clone(),
                    message_id,
                };
                self.effects.extend(update(&mut self.model, named));
                false
            }
            _ => true,
        });
        self.effects.append(&mut effects);
    }

    fn take(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    fn sent(&mut self) -> Vec<ClientFrame> {
        let effects = self.take().into_iter();
        effects
            .filter_map(|effect| match effect {
                Effect::Send(frame) => Some(frame),
                _ => None,
            })
            .collect()
    }

    fn key(&mut self, code: KeyCode) {
        self.tell(Msg::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }

    fn control(&mut self, c: char) {
        self.tell(Msg::Key(KeyEvent::new(
            KeyCode::Char(c),
            KeyModifiers::CONTROL,
        )));
    }

    fn write(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '\n' => self.control('j'),
                c => self.key(KeyCode::Char(c)),
            }
        }
    }

    fn say(&mut self, text: &str) {
        self.write(text);
        self.key(KeyCode::Enter);
    }

    fn frame(&mut self, frame: ServerFrame) {
        self.link(LinkEvent::Frame(frame));
    }

    fn link(&mut self, event: LinkEvent) {
        let link = self.model.link_id;
        self.tell(Msg::Link(link, event));
    }

    fn connected(&mut self) {
        self.frame(session(false, None));
    }

    fn wait(&mut self, seconds: u64) {
        let later = self.model.now.plus(Duration::from_secs(seconds));
        self.tell(Msg::Clock(later));
    }

    fn chat(&self) -> &Chat {
        self.model.chat.as_ref().unwrap()
    }

    fn entries(&self) -> &[Entry] {
        self.chat().transcript.entries()
    }

    fn banner(&self) -> &str {
        self.model.banner.as_ref().map_or("", |banner| &banner.text)
    }

    fn connect_wait(&mut self) -> Option<Wait> {
        self.take().into_iter().find_map(|effect| match effect {
            Effect::Connect { wait, .. } => Some(wait),
            _ => None,
        })
    }
}

fn session(resumed: bool, turn: Option<RunningTurn>) -> ServerFrame {
    ServerFrame::Session(SessionFrame {
        session_id: session_id(1),
        resumed,
        turn,
    })
}

fn running(n: u128, message_id: Option<&str>, chars: u64) -> RunningTurn {
    RunningTurn {
        step_id: step_id(n),
        step_order: i64::try_from(n).unwrap(),
        message_id: message_id.map(str::to_owned),
        chars,
    }
}

fn accepted(n: u128, message_id: Option<&str>, words: &str) -> ServerFrame {
    ServerFrame::Accepted {
        accepted: Accepted {
            step_id: step_id(n),
            step_order: i64::try_from(n).unwrap(),
            message_id: message_id.map(str::to_owned),
            user_input: words.to_owned(),
            created_at: NOW,
        },
    }
}

fn resumed(n: u128, from: u64, status: StepStatus) -> ServerFrame {
    ServerFrame::Resumed {
        resumed: Resumed {
            step_id: step_id(n),
            from,
            status,
        },
    }
}

fn token(text: &str) -> ServerFrame {
    ServerFrame::Token {
        token: text.to_owned(),
    }
}

fn done(n: u128, status: StepStatus) -> ServerFrame {
    ServerFrame::Done(Done {
        done: true,
        step_id: step_id(n),
        created_at: NOW,
        step_order: i64::try_from(n).unwrap(),
        status,
        finish_reason: Some(FinishReason::Stop),
        message_id: None,
        model: Some("gpt-4o-mini".to_owned()),
        tokens: Some(42),
        quota: None,
        emotion: None,
    })
}

fn error(code: &str, stored: Option<bool>) -> ErrorFrame {
    ErrorFrame {
        code: code.to_owned(),
        message: format!("about {code}"),
        retry_after: None,
        field: None,
        step_id: None,
        status: None,
        stored,
    }
}

fn failed(n: u128) -> ServerFrame {
    let error = ErrorFrame {
        step_id: Some(step_id(n)),
        status: Some(StepStatus::Failed),
        ..error("model_unavailable", Some(true))
    };
    ServerFrame::Error { error }
}

fn notice(code: &str) -> ServerFrame {
    let (code, message) = (code.to_owned(), format!("about {code}"));
    ServerFrame::Notice {
        notice: Notice { code, message },
    }
}

fn safety() -> ServerFrame {
    let resource = |name: &str, contact: &str, note: &str| Resource {
        name: name.to_owned(),
        contact: contact.to_owned(),
        note: Some(note.to_owned()),
    };
    ServerFrame::Safety {
        safety: Safety {
            tier: "imminent".to_owned(),
            message: "지금 많이 힘드시군요. 혼자 견디지 않으셔도 돼요.".to_owned(),
            resources: vec![
                resource("자살예방 상담전화", "109", "24시간"),
                resource("정신건강 위기상담전화", "1577-0199", "24시간"),
            ],
        },
    }
}

fn step(n: u128, words: &str, answer: &str, status: StepStatus) -> StepBody {
    StepBody {
        step_id: step_id(n),
        session_id: session_id(1),
        step_order: i64::try_from(n).unwrap(),
        step_type: "normal".to_owned(),
        user_input: words.to_owned(),
        gpt_response: answer.to_owned(),
        status,
        finish_reason: None,
        message_id: Some(format!("m{n}")),
        model: None,
        prompt_version: None,
        created_at: NOW,
        emotion: None,
        safety_tier: None,
    }
}

fn listed(n: u128, topic: Option<&str>, minutes_ago: u64, ended: bool) -> SessionBody {
    let micros = i64::try_from(minutes_ago * 60_000_000).unwrap();
    let started_at = Timestamp::from_micros(NOW.as_micros() - micros);
    SessionBody {
        session_id: session_id(n),
        user_id: user(),
        emotion_label: None,
        topic: topic.map(str::to_owned),
        trigger_summary: None,
        insight_summary: None,
        insight_tag: None,
        started_at,
        ended_at: ended.then_some(NOW),
    }
}

fn problem(status: u16, code: &str, field: Option<&str>) -> ClientError {
    ClientError::Problem(Box::new(Problem {
        kind: String::new(),
        title: String::new(),
        status,
        detail: format!("about {code}"),
        code: code.to_owned(),
        field: field.map(str::to_owned),
        stored: None,
        safety: None,
    }))
}

fn resume_frame(n: u128, received: u64) -> ClientFrame {
    ClientFrame::Resume(Resume {
        step_id: Some(step_id(n)),
        received,
    })
}

fn say_frame(words: &str, message_id: &str) -> ClientFrame {
    ClientFrame::UserInput(UserMessage {
        user_input: words.to_owned(),
        message_id: Some(message_id.to_owned()),
        received: Some(0),
        ..UserMessage::default()
    })
}

fn refused(code: &str, stored: Option<bool>, retry_after: Option<u32>) -> ServerFrame {
    ServerFrame::Error {
        error: ErrorFrame {
            retry_after,
            ..error(code, stored)
        },
    }
}
