//! A server and a network that loses things, for any order of events.
//!
//! Owns [`Net`], a model of `http::socket`: a cursor a socket, turns told to whoever is subscribed,
//! resume, replay, checkpoints and crashes. What it proves: whatever is lost or comes twice, in the
//! end the screen has every step once, in order, with the server's words and the server's answer.

use super::super::link::Link;
use super::peer::{Conn, Turn, accepted_frame, end_frame, go_on};
use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

struct Net {
    world: World,
    turns: Vec<Turn>,
    conn: Option<Conn>,
    wanted: Option<LinkId>,
    /// Calls that did not reach the server, and answers that did not reach the client.
    calls: usize,
    answers: VecDeque<Result<Vec<StepBody>, ClientError>>,
    /// Whether the client's token has ended, and whether it has asked for another one.
    ended: bool,
    renewing: bool,
    said: u32,
    others: u32,
}

impl Net {
    fn new() -> Self {
        let mut world = World::logged_in(Language::Korean);
        world.model.login.as_mut().unwrap().refresh = Some(Secret::from("r"));
        world.key(KeyCode::Enter);
        let mut net = Self {
            world,
            turns: Vec::new(),
            conn: None,
            wanted: None,
            calls: 0,
            answers: VecDeque::new(),
            ended: false,
            renewing: false,
            said: 0,
            others: 0,
        };
        net.obey();
        net
    }

    /// Does what the client wants done.
    fn obey(&mut self) {
        for effect in self.world.take() {
            match effect {
                Effect::Connect { link, .. } => {
                    self.conn = None;
                    self.wanted = Some(link);
                }
                Effect::Send(frame) => {
                    self.conn
                        .as_mut()
                        .expect("a connection to send on")
                        .to_server
                        .push_back(frame);
                }
                Effect::LoadSteps(_) => self.calls += 1,
                Effect::Renew(_) => self.renewing = true,
                Effect::Go(_) => {}
                Effect::Disconnect => {
                    self.conn = None;
                    self.wanted = None;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn tell(&mut self, msg: Msg) {
        self.world.tell(msg);
        self.obey();
    }

    fn running(&self) -> Option<usize> {
        self.turns
            .iter()
            .position(|turn| turn.status == StepStatus::Pending)
    }

    fn steps(&self) -> Vec<StepBody> {
        let steps = self.turns.iter().enumerate().map(|(n, turn)| {
            let kept = if turn.status == StepStatus::Pending {
                turn.stored
            } else {
                turn.text.len()
            };
            let text: String = turn.text[..kept].iter().collect();
            let message_id = turn.message_id.clone();
            StepBody {
                message_id,
                ..step(n as u128 + 1, &turn.words, &text, turn.status)
            }
        });
        steps.collect()
    }

    fn act(&mut self, action: u8, amount: usize, text: &str) {
        // What moves things on is more likely than what ends them.
        match action {
            0..=2 => self.connect(amount),
            3 | 4 => self.lose(),
            5..=10 => self.relay(amount),
            11..=13 => self.serve(),
            14..=20 => self.receive(),
            21 => self.begin_elsewhere(),
            22 | 23 => self.person_says(),
            24..=28 => self.generate(text),
            29 => self.finish(amount),
            30 => self.checkpoint(),
            31 => self.crash(),
            32 => self.answer_call(amount),
            33 => self.deliver_answer(),
            35 => self.end_token(),
            36 => self.renew(amount),
            _ => self.world.wait(amount as u64),
        }
        self.obey();
    }

    fn connect(&mut self, amount: usize) {
        if self.wanted.take().is_none() {
            return;
        }
        if self.ended {
            let refused = problem(401, "unauthorized", None);
            return self.world.link(LinkEvent::Refused(refused));
        }
        let turn = self.running();
        // A turn that began between subscribing and looking is told twice.
        let news = turn.filter(|_| amount == 0).into_iter().collect();
        let frame = turn.map(|n| {
            let turn = &self.turns[n];
            running(
                n as u128 + 1,
                turn.message_id.as_deref(),
                turn.text.len() as u64,
            )
        });
        let frame = session(!self.turns.is_empty(), frame);
        let to_client = VecDeque::from([frame]);
        self.conn = Some(Conn {
            to_client,
            to_server: VecDeque::new(),
            cursor: None,
            news,
        });
    }

    /// The token ends; a socket is closed for it when nothing is told on it.
    fn end_token(&mut self) {
        // It lasts for longer than the client takes for too soon.
        self.world.wait(21);
        self.obey();
        self.ended = true;
        if self.conn.as_ref().is_some_and(|conn| conn.cursor.is_none()) {
            self.conn = None;
            self.world.link(LinkEvent::Closed(4401));
        }
    }

    /// The renewal is answered, if the network lets it through.
    fn renew(&mut self, amount: usize) {
        if !std::mem::take(&mut self.renewing) {
            return;
        }
        let mut login = login();
        login.refresh = Some(Secret::from("r"));
        self.ended &= amount == 0;
        self.world.tell(Msg::Renewed(if amount == 0 {
            Err(ClientError::Network("lost".to_owned()))
        } else {
            Ok(login)
        }));
    }

    fn lose(&mut self) {
        if self.conn.take().is_some() {
            self.world.link(LinkEvent::Closed(1006));
        }
    }

    /// The server tells what is new in the turn that the socket follows.
    fn relay(&mut self, amount: usize) {
        let Some(conn) = &mut self.conn else { return };
        let Some((n, place)) = conn.cursor else {
            if let Some(n) = conn.news.pop_front() {
                conn.to_client.push_back(accepted_frame(n, &self.turns[n]));
                conn.cursor = Some((n, 0));
            }
            return;
        };
        let turn = &self.turns[n];
        if place < turn.text.len() {
            let until = (place + amount + 1).min(turn.text.len());
            conn.to_client
                .push_back(token(&turn.text[place..until].iter().collect::<String>()));
            conn.cursor = Some((n, until));
        } else if turn.status != StepStatus::Pending {
            conn.to_client.push_back(end_frame(n, turn));
            conn.cursor = None;
        }
    }

    /// The server takes a frame.
    fn serve(&mut self) {
        let running = self.running();
        let Some(conn) = &mut self.conn else { return };
        match conn.to_server.pop_front() {
            Some(ClientFrame::UserInput(message)) => {
                let same = |turn: &Turn| turn.message_id == message.message_id;
                if let Some(n) = self.turns.iter().position(same) {
                    conn.to_client.push_back(accepted_frame(n, &self.turns[n]));
                    go_on(conn, n, &self.turns[n], message.received.unwrap_or(0));
                } else if running.is_some() {
                    let busy = ErrorFrame {
                        retry_after: Some(1),
                        ..error("turn_in_progress", Some(false))
                    };
                    conn.to_client.push_back(ServerFrame::Error { error: busy });
                } else {
                    self.begin(message.message_id, message.user_input);
                }
            }
            Some(ClientFrame::Resume(resume)) => {
                let n =
                    (1..=self.turns.len()).find(|n| Some(step_id(*n as u128)) == resume.step_id);
                let n = n.expect("a step that was told") - 1;
                go_on(conn, n, &self.turns[n], resume.received);
            }
            Some(ClientFrame::Ping(pong)) => conn.to_client.push_back(ServerFrame::Pong { pong }),
            // The answer to a renewal moves nothing on.
            Some(ClientFrame::Auth(_)) | None => {}
            Some(other) => panic!("{other:?}"),
        }
    }

    fn begin(&mut self, message_id: Option<String>, words: String) {
        let status = StepStatus::Pending;
        self.turns.push(Turn {
            message_id,
            words,
            text: Vec::new(),
            stored: 0,
            status,
            cut: false,
        });
        if let Some(conn) = &mut self.conn {
            conn.news.push_back(self.turns.len() - 1);
        }
    }

    fn receive(&mut self) {
        if let Some(frame) = self
            .conn
            .as_mut()
            .and_then(|conn| conn.to_client.pop_front())
        {
            self.world.frame(frame);
        }
    }

    fn begin_elsewhere(&mut self) {
        // Somebody else's session has a row only after a first message.
        if self.running().is_none() && self.others < 3 {
            self.others += 1;
            let n = self.others;
            self.begin((n > 1).then(|| format!("other{n}")), format!("폰 {n}"));
        }
    }

    fn person_says(&mut self) {
        if self.said < 4 {
            let names = self.world.names;
            if self.world.chat().editor.is_empty() {
                self.world.write(&format!("말 {}", self.said));
            }
            self.world.key(KeyCode::Enter);
            self.said += self.world.names - names;
        }
    }

    fn generate(&mut self, text: &str) {
        if let Some(n) = self.running() {
            self.turns[n].text.extend(text.chars());
        }
    }

    fn finish(&mut self, amount: usize) {
        if let Some(n) = self.running() {
            let turn = &mut self.turns[n];
            turn.status = match amount {
                _ if turn.text.is_empty() => StepStatus::Failed,
                0 => StepStatus::Interrupted,
                _ => StepStatus::Complete,
            };
        }
    }

    fn checkpoint(&mut self) {
        if let Some(n) = self.running() {
            self.turns[n].stored = self.turns[n].text.len();
        }
    }

    /// The server is killed; the sweep at its start closes the turn with what was stored.
    fn crash(&mut self) {
        self.lose();
        if let Some(n) = self.running() {
            let turn = &mut self.turns[n];
            turn.cut = true;
            turn.text.truncate(turn.stored);
            turn.status = if turn.stored == 0 {
                StepStatus::Failed
            } else {
                StepStatus::Interrupted
            };
        }
    }

    fn answer_call(&mut self, amount: usize) {
        if self.calls > 0 {
            self.calls -= 1;
            let lost = || Err(ClientError::Network("lost".to_owned()));
            self.answers.push_back(if amount == 0 {
                lost()
            } else if self.ended {
                Err(problem(401, "unauthorized", None))
            } else {
                Ok(self.steps())
            });
        }
    }

    fn deliver_answer(&mut self) {
        if let Some(answer) = self.answers.pop_front() {
            self.tell(Msg::Steps(session_id(1), answer));
        }
    }

    /// What holds at any moment: no step is there twice, and no answer has anything that is not the
    /// server's, but for text that a crash took and that nobody has said to be void yet.
    fn check(&self) -> Result<(), TestCaseError> {
        let entries = self.world.entries();
        for (at, entry) in entries.iter().enumerate() {
            let same = |other: &Entry| {
                (other.step_id.is_some() && other.step_id == entry.step_id)
                    || (other.message_id.is_some() && other.message_id == entry.message_id)
            };
            prop_assert!(!entries[..at].iter().any(same));
            prop_assert_eq!(entry.received, entry.answer.chars().count() as u64);
            let number = |n: &usize| entry.step_id == Some(step_id(*n as u128 + 1));
            let Some(n) = (0..self.turns.len()).find(number) else {
                continue;
            };
            let turn = &self.turns[n];
            if !turn.cut || entry.phase != Phase::Running {
                let told: String = turn.text.iter().collect();
                prop_assert!(told.starts_with(&entry.answer), "{told:?} {entry:?}");
            }
        }
        Ok(())
    }

    /// Whether nothing more will happen by itself.
    fn quiet(&self) -> bool {
        let transcript = &self.world.chat().transcript;
        let conn_quiet = self.conn.as_ref().is_some_and(|conn| {
            conn.to_client.is_empty()
                && conn.to_server.is_empty()
                && conn.news.is_empty()
                && conn.cursor.is_none()
        });
        conn_quiet
            && self.calls == 0
            && self.answers.is_empty()
            && self.running().is_none()
            && transcript.waiting().is_none()
            && transcript.running().next().is_none()
            && self.world.chat().reload_at.is_none()
    }

    /// From now on nothing is lost.
    fn calm_down(&mut self) {
        for _ in 0..400 {
            if self.quiet() {
                return;
            }
            for action in [36, 0, 11, 5, 5, 14, 14, 14, 29, 32, 33, 34] {
                self.act(action, 1, "");
            }
        }
        panic!("never at rest: {:?}", self.world.model);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn in_the_end_the_screen_says_what_the_server_says(
        actions in prop::collection::vec((0u8..37, 0usize..4, "[a가ㅋ👩\u{200d}\n]{1,3}"), 0..300),
    ) {
        let mut net = Net::new();
        net.act(0, 1, "");
        net.act(14, 1, "");
        for (action, amount, text) in &actions {
            net.act(*action, *amount, text);
            net.check()?;
        }
        net.calm_down();
        prop_assert!(matches!(net.world.chat().link, Link::Open(_)));
        let shown: Vec<_> = net.world.entries().iter().map(|entry| {
            (entry.words.clone().unwrap(), entry.answer.clone(), entry.phase)
        }).collect();
        let stored: Vec<_> = net.turns.iter().map(|turn| {
            (turn.words.clone(), turn.text.iter().collect::<String>(), Phase::Over(turn.status))
        }).collect();
        prop_assert_eq!(shown, stored);
        let own = net.turns.iter().filter(|turn| turn.words.starts_with('말')).count();
        prop_assert_eq!(own, net.said as usize);
    }
}
