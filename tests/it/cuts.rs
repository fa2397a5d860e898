//! Wherever an answer is cut on its way in, and wherever its reader goes and comes back: what the
//! reader has in the end is what is stored.

mod any;

use crate::proxy::{Proxy, Way};
use crate::support::{PATIENCE, Person, Server, Talk};
use crate::upstream::{Reply, Upstream, done, ends, event};
use deepme::client::{Client, ClientError, ConnectOptions, Event};
use deepme::domain::step::{FinishReason, StepStatus};
use deepme::domain::{SessionId, StepId};
use deepme::wire::rest::StepBody;
use deepme::wire::ws::{ClientFrame, Done, Resume, ServerFrame, UserMessage};
use std::fmt::Write as _;
use std::sync::Arc;
use tokio::sync::Semaphore;

const WORDS: &str = "오늘은 좀 그래 👩‍👩‍👧";
/// A piece each. Between the pieces a syllable of conjoining letters, an emoji of several code points
/// and an accent are cut.
const PIECES: [&str; 5] = [
    "그랬군요. \u{1112}",
    "\u{1161}\u{11ab} 👩\u{200d}👩\u{200d}",
    "👧 e",
    "\u{301} \"네\\\"\n",
    "🇰🇷",
];

/// An answer as the model sends it.
#[derive(Debug)]
struct Answer {
    text: String,
    bytes: Vec<u8>,
    /// Where each of its pieces ends: in the bytes, and in the text.
    pieces: Vec<(usize, usize)>,
}

impl Answer {
    /// Each piece an event, in raw UTF-8 or in `\u` escapes.
    fn of<'a>(pieces: impl IntoIterator<Item = (&'a str, bool)>) -> Self {
        let mut answer = Self {
            text: String::new(),
            bytes: Vec::new(),
            pieces: Vec::new(),
        };
        for (piece, escaped) in pieces {
            let mut json = serde_json::to_string(piece).unwrap();
            if escaped {
                json = escape(&json);
            }
            let json = format!(r#"{{"choices":[{{"delta":{{"content":{json}}}}}]}}"#);
            answer.bytes.extend(event(&json));
            answer.text.push_str(piece);
            let place = (answer.bytes.len(), answer.text.len());
            answer.pieces.push(place);
        }
        answer.bytes.extend(ends("stop"));
        answer.bytes.extend(done());
        answer
    }

    fn plain() -> Self {
        Self::of(PIECES.map(|piece| (piece, false)))
    }

    /// The text of which all bytes have come when so many have.
    fn said(&self, bytes: usize) -> &str {
        let said = self.pieces.iter().rev().find(|(end, _)| *end <= bytes);
        &self.text[..said.map_or(0, |(_, end)| *end)]
    }
}

/// JSON in ASCII, as Python writes it.
fn escape(json: &str) -> String {
    let mut ascii = String::new();
    for unit in json.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte @ 0x20..0x7f) => ascii.push(byte.into()),
            _ => write!(ascii, "\\u{unit:04x}").unwrap(),
        }
    }
    ascii
}

/// The connection was lost, or there was none.
#[derive(Debug)]
#[expect(dead_code, reason = "it is shown when a test fails")]
struct Lost(String);

impl From<ClientError> for Lost {
    fn from(error: ClientError) -> Self {
        Self(format!("{error:?}"))
    }
}

/// How somebody who is back asks for the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Asks {
    /// `resume` with the step.
    ForTheStep,
    /// `resume` without one: the session's latest.
    ForTheLatest,
    /// By the message again, under its own id.
    Again,
}

const WAYS: [Asks; 3] = [Asks::ForTheStep, Asks::ForTheLatest, Asks::Again];

/// Somebody who says something and reads the answer, over as many sockets as it takes, as an app does.
struct Reader {
    client: Client,
    session_id: Option<SessionId>,
    message_id: String,
    talk: Option<Talk>,
    text: String,
    /// What it says that it has, where that is more than there is.
    claims: Option<u64>,
    /// From where it asked last.
    asked: u64,
    step_id: Option<StepId>,
    done: Option<Done>,
}

impl Reader {
    fn new(client: &Client, session_id: Option<SessionId>, message_id: String) -> Self {
        Self {
            client: client.clone(),
            session_id,
            message_id,
            talk: None,
            text: String::new(),
            claims: None,
            asked: 0,
            step_id: None,
            done: None,
        }
    }

    async fn connect(&mut self) -> Result<(), Lost> {
        let options = ConnectOptions {
            session_id: self.session_id,
            ..ConnectOptions::default()
        };
        let socket = self.client.connect(&options).await?;
        let mut talk = Talk(socket);
        match talk.event().await {
            Event::Frame(ServerFrame::Session(session)) => {
                assert!(self.session_id.is_none_or(|id| id == session.session_id));
                self.session_id = Some(session.session_id);
            }
            Event::Closed(code, reason) => return Err(Lost(format!("{code} {reason}"))),
            other => panic!("{other:?}"),
        }
        self.talk = Some(talk);
        Ok(())
    }

    /// Says the words, or asks for the rest of the answer. Who does not know whether the words arrived
    /// says them again.
    async fn ask(&mut self, way: Asks) -> Result<(), Lost> {
        self.done = None;
        let have = self.text.chars().count() as u64;
        let received = self.claims.unwrap_or(have);
        self.asked = if self.claims.is_some() { 0 } else { have };
        let frame = match (way, self.step_id) {
            (Asks::Again, _) | (_, None) => ClientFrame::UserInput(UserMessage {
                user_input: WORDS.to_owned(),
                message_id: Some(self.message_id.clone()),
                received: Some(received),
                ..UserMessage::default()
            }),
            (_, step_id) => ClientFrame::Resume(Resume {
                step_id: step_id.filter(|_| way == Asks::ForTheStep),
                received,
            }),
        };
        let talk = self.talk.as_mut().unwrap();
        Ok(talk.0.send(&frame).await?)
    }

    async fn hear(&mut self) -> Result<(), Lost> {
        match self.talk.as_mut().unwrap().event().await {
            Event::Frame(ServerFrame::Accepted { accepted }) => {
                assert_eq!(accepted.user_input, WORDS);
                assert_eq!(accepted.message_id.as_ref(), Some(&self.message_id));
                let step = *self.step_id.get_or_insert(accepted.step_id);
                assert_eq!(step, accepted.step_id, "a message is one step for ever");
            }
            Event::Frame(ServerFrame::Resumed { resumed }) => {
                assert_eq!(Some(resumed.step_id), self.step_id);
                let have = self.text.chars().count() as u64;
                // Who said the words twice may be told the turn before being told it again.
                let from = resumed.from;
                assert!(from == self.asked && from <= have, "{from}, has {have}");
                self.claims = None;
                let kept = self.text.chars().take(usize::try_from(from).unwrap());
                self.text = kept.collect();
            }
            Event::Frame(ServerFrame::Token { token }) => self.text.push_str(&token),
            Event::Frame(ServerFrame::Done(done)) => self.done = Some(done),
            // The model is shown little here, to keep its questions short.
            Event::Frame(ServerFrame::Notice { notice }) if notice.code == "context_trimmed" => {}
            Event::Closed(code, reason) => return Err(Lost(format!("{code} {reason}"))),
            other => panic!("{other:?}"),
        }
        Ok(())
    }

    /// Reads until it knows that the words have arrived, and has this text.
    async fn until(&mut self, text: &str) -> Result<(), Lost> {
        while self.step_id.is_none() || self.text != text {
            self.hear().await?;
            assert!(
                text.starts_with(&self.text),
                "{:?}, not {text:?}",
                self.text
            );
        }
        Ok(())
    }

    async fn hear_out(&mut self) -> Result<(), Lost> {
        while self.done.is_none() {
            self.hear().await?;
        }
        Ok(())
    }

    /// The connection is lost, when the reader had seen so many code points.
    fn lose(&mut self, seen: usize) {
        if let Some(talk) = self.talk.take() {
            talk.0.abort();
        }
        self.text = self.text.chars().take(seen).collect();
    }

    /// What it read is the answer, and so is what is stored.
    fn compare(&self, answer: &Answer, steps: &[StepBody]) {
        let end = self.done.as_ref().unwrap();
        assert_eq!(self.text, answer.text);
        assert_eq!(
            (end.status, end.finish_reason),
            (StepStatus::Complete, Some(FinishReason::Stop))
        );
        let its = |step: &&StepBody| step.message_id.as_ref() == Some(&self.message_id);
        let stored: Vec<&StepBody> = steps.iter().filter(its).collect();
        assert_eq!(stored.len(), 1, "one message is one step");
        assert_eq!(stored[0].gpt_response, self.text);
        assert_eq!(
            (stored[0].step_id, stored[0].step_order, stored[0].status),
            (end.step_id, end.step_order, end.status)
        );
    }
}

async fn served(upstream: &Upstream) -> (Server, Person) {
    let server = upstream.server(|config| {
        config.llm.history_steps = 1;
        config.llm.summaries = false;
        config.limits.messages_a_minute = 0;
        config.limits.tokens_a_day = 0;
    });
    let server = server.await;
    let jiwoo = server.person("jiwoo").await;
    (server, jiwoo)
}

/// The connection breaks after each byte of one direction in turn: in the middle of the handshake, of a
/// frame, of a character. Whoever it was comes back and goes on. How many places that were.
async fn cut_everywhere(cut: fn(&Proxy, Way)) -> usize {
    let mut upstream = Upstream::start().await;
    let (server, jiwoo) = served(&upstream).await;
    let proxy = Proxy::to(server.address).await;
    let near = Client::new(&format!("http://{}", proxy.address)).unwrap();
    let near = near.with_token(&jiwoo.token).unwrap();
    let answer = Answer::plain();
    for bytes in 0.. {
        upstream.reply(Reply::Stream(vec![answer.bytes.clone()]));
        let mut reader = Reader::new(&near, None, "m".to_owned());
        cut(&proxy, Way::First(bytes));
        let first = async {
            reader.connect().await?;
            reader.ask(Asks::Again).await?;
            reader.hear_out().await
        };
        let whole = first.await.is_ok();
        cut(&proxy, Way::Open);
        if !whole {
            reader.lose(usize::MAX);
            reader.connect().await.unwrap();
            reader.ask(WAYS[bytes % 3]).await.unwrap();
            reader.hear_out().await.unwrap();
        }
        let steps = jiwoo
            .client
            .steps(reader.session_id.unwrap())
            .await
            .unwrap();
        reader.compare(&answer, &steps);
        assert_eq!(steps.len(), 1, "cut after {bytes}");
        upstream.request().await;
        assert_eq!(upstream.more_requests(), 0, "cut after {bytes}");
        if whole {
            return bytes;
        }
    }
    unreachable!()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_byte_to_the_reader_may_be_the_last_one() {
    let places = cut_everywhere(Proxy::down).await;
    assert!(places > 500, "{places}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_byte_from_the_reader_may_be_the_last_one() {
    let places = cut_everywhere(Proxy::up).await;
    assert!(places > 300, "{places}");
}

/// The model stops after each byte in turn, and meanwhile the reader goes, and forgets some of what it
/// saw. A second device sees it all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_may_go_and_come_back_at_every_byte_of_the_model() {
    let upstream = Upstream::start().await;
    let (_server, jiwoo) = served(&upstream).await;
    let (mut watcher, session) = jiwoo.connect(None).await;
    let session_id = session.session_id;
    let answer = Answer::plain();
    let mut readers = Vec::new();
    for at in 0..=answer.bytes.len() {
        let (before, after) = answer.bytes.split_at(at);
        let gate = Arc::new(Semaphore::new(0));
        let parts = [before, after].map(|part| vec![part.to_vec()]);
        upstream.reply(Reply::Held(parts.into(), Arc::clone(&gate)));
        let mut reader = Reader::new(&jiwoo.client, Some(session_id), format!("m{at}"));
        reader.connect().await.unwrap();
        reader.ask(Asks::Again).await.unwrap();
        reader.until(answer.said(at)).await.unwrap();
        reader.lose(at % (reader.text.chars().count() + 1));
        // It goes on before the reader is back, or after.
        let early = at % 2 == 0;
        gate.add_permits(usize::from(early));
        reader.connect().await.unwrap();
        reader.ask(WAYS[at % 3]).await.unwrap();
        gate.add_permits(usize::from(!early));
        reader.hear_out().await.unwrap();
        let seen = watcher.turn().await;
        assert_eq!(seen.text, answer.text);
        assert_eq!(Some(seen.done().step_id), reader.step_id);
        reader.lose(usize::MAX);
        readers.push(reader);
    }
    let steps = jiwoo.client.steps(session_id).await.unwrap();
    assert_eq!(steps.len(), readers.len());
    for (n, reader) in readers.iter().enumerate() {
        reader.compare(&answer, &steps);
        assert_eq!(steps[n].step_order, i64::try_from(n).unwrap() + 1);
    }
}

/// Every place in a stored answer to go on from, and one beyond it.
#[tokio::test]
async fn a_stored_answer_goes_on_from_every_place() {
    let upstream = Upstream::start().await;
    let (_server, jiwoo) = served(&upstream).await;
    let answer = Answer::plain();
    upstream.reply(Reply::Stream(vec![answer.bytes.clone()]));
    let mut reader = Reader::new(&jiwoo.client, None, "m".to_owned());
    reader.connect().await.unwrap();
    reader.ask(Asks::Again).await.unwrap();
    reader.hear_out().await.unwrap();
    let length = answer.text.chars().count();
    let steps = jiwoo
        .client
        .steps(reader.session_id.unwrap())
        .await
        .unwrap();
    for seen in 0..=length + 1 {
        for way in WAYS {
            reader.text = answer.text.chars().take(seen).collect();
            reader.claims = (seen > length).then_some(seen as u64);
            reader.ask(way).await.unwrap();
            let ended = tokio::time::timeout(PATIENCE, reader.hear_out());
            ended.await.unwrap().unwrap();
            reader.compare(&answer, &steps);
        }
    }
}
