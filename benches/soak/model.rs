//! The model: says what the words ask for, and fails as they ask.

use crate::dice::Dice;
use crate::upstream::{self, END, HEAD, chunk};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What goes wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Its bytes come in pieces of seven.
    Split,
    /// All of it comes at once.
    Merged,
    /// One event of it is no JSON.
    Malformed,
    /// The connection ends in the middle of it.
    Drop,
    /// Nothing more comes from the middle of it on.
    Stall,
    /// 429 with `Retry-After: 1`, so many times, and then the answer.
    Busy(u32),
    /// 500, so many times, and then the answer.
    Broken(u32),
    /// The connection ends before the answer begins, once.
    DropFirst,
    /// Nothing comes at first, once.
    StallFirst,
}

/// More often than it is asked for a turn.
const ALWAYS: u32 = 99;

impl Fault {
    fn throw(dice: &mut Dice) -> Self {
        match dice.below(1000) {
            0..60 => Self::Split,
            60..100 => Self::Merged,
            100..140 => Self::Malformed,
            140..180 => Self::Drop,
            180..195 => Self::Stall,
            195..225 => Self::Busy(1),
            225..240 => Self::Busy(2),
            240..245 => Self::Busy(ALWAYS),
            245..265 => Self::Broken(1),
            265..280 => Self::DropFirst,
            280..285 => Self::StallFirst,
            _ => Self::None,
        }
    }

    /// How it is written in the words, and in the report.
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Split => "split",
            Self::Merged => "merged",
            Self::Malformed => "malformed",
            Self::Drop => "drop",
            Self::Stall => "stall",
            Self::Busy(1) => "429-once",
            Self::Busy(2) => "429-twice",
            Self::Busy(_) => "429-always",
            Self::Broken(_) => "500-once",
            Self::DropFirst => "drop-first",
            Self::StallFirst => "stall-first",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        const ALL: [Fault; 12] = [
            Fault::None,
            Fault::Split,
            Fault::Merged,
            Fault::Malformed,
            Fault::Drop,
            Fault::Stall,
            Fault::Busy(1),
            Fault::Busy(2),
            Fault::Busy(ALWAYS),
            Fault::Broken(1),
            Fault::DropFirst,
            Fault::StallFirst,
        ];
        ALL.into_iter().find(|fault| fault.name() == name)
    }
}

/// The answer that a message asks for.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    /// Nobody else's: stands in every piece, so that nobody is told somebody else's answer unnoticed.
    id: u64,
    pieces: usize,
    /// Milliseconds between two pieces.
    pause: usize,
    fault: Fault,
    /// Before which piece it happens.
    at: usize,
}

impl Wish {
    pub(crate) fn throw(dice: &mut Dice, id: u64) -> Self {
        let pieces = 4 + dice.below(50);
        Self {
            id,
            pieces,
            pause: [0, 5, 15, 30, 60][dice.below(5)],
            fault: Fault::throw(dice),
            at: dice.below(pieces),
        }
    }

    /// The words of the message.
    pub(crate) fn words(&self) -> String {
        let Self {
            id,
            pieces,
            pause,
            fault,
            at,
        } = self;
        let fault = fault.name();
        format!("오늘은 좀 그래 🙂 [soak {id} {pieces} {pause} {fault} {at}]")
    }

    /// The newest one of a request, which stands last.
    fn parse(body: &str) -> Option<Self> {
        let mut parts = body.rsplit("[soak ").next()?.split(']').next()?.split(' ');
        Some(Self {
            id: parts.next()?.parse().ok()?,
            pieces: parts.next()?.parse().ok()?,
            pause: parts.next()?.parse().ok()?,
            fault: Fault::parse(parts.next()?)?,
            at: parts.next()?.parse().ok()?,
        })
    }

    fn piece(&self, n: usize) -> String {
        const WORDS: [&str; 6] = [
            "그랬군요",
            "👩‍👩‍👧",
            "마음이 e\u{301}",
            "🇰🇷",
            "\"네\"\n",
            "많이 힘들었죠?",
        ];
        format!("{} {}·{n} ", WORDS[n % WORDS.len()], self.id)
    }

    /// The whole answer.
    pub(crate) fn answer(&self) -> String {
        (0..self.pieces).map(|n| self.piece(n)).collect()
    }
}

/// The mock, and what it has done so far.
#[derive(Clone, Default)]
pub(crate) struct Model(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// How often those were asked for that fail at first.
    tries: Mutex<HashMap<u64, u32>>,
    played: Mutex<BTreeMap<&'static str, usize>>,
    connections: AtomicUsize,
}

impl Model {
    pub(crate) async fn start(&self) -> SocketAddr {
        let model = self.clone();
        upstream::listen(move |stream| {
            let model = model.clone();
            async move {
                model.0.connections.fetch_add(1, Ordering::Relaxed);
                model.serve(stream).await;
                model.0.connections.fetch_sub(1, Ordering::Relaxed);
            }
        })
        .await
    }

    /// Connections that are open.
    pub(crate) fn connections(&self) -> usize {
        self.0.connections.load(Ordering::Relaxed)
    }

    /// How often it failed in which way.
    pub(crate) fn played(&self) -> BTreeMap<&'static str, usize> {
        self.0.played.lock().unwrap().clone()
    }

    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut buffer = Vec::new();
        loop {
            let body = upstream::next_request(&mut stream, &mut buffer).await?;
            let wish = Wish::parse(&body)?;
            self.answer(&mut stream, &wish).await?;
        }
    }

    /// How often this one was asked for before.
    fn tries(&self, wish: &Wish) -> u32 {
        let mut tries = self.0.tries.lock().unwrap();
        let tried = tries.entry(wish.id).or_default();
        *tried += 1;
        *tried - 1
    }

    /// Answers a request; `None` when the connection is to end.
    async fn answer(&self, stream: &mut TcpStream, wish: &Wish) -> Option<()> {
        let failing = match wish.fault {
            Fault::Busy(times) | Fault::Broken(times) => self.tries(wish) < times,
            Fault::DropFirst | Fault::StallFirst => self.tries(wish) < 1,
            _ => true,
        };
        let fault = if failing { wish.fault } else { Fault::None };
        *self
            .0
            .played
            .lock()
            .unwrap()
            .entry(fault.name())
            .or_default() += 1;
        match fault {
            Fault::Busy(_) => {
                let head = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 2\r\n\r\n{}";
                return stream.write_all(head.as_bytes()).await.ok();
            }
            Fault::Broken(_) => {
                let head = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\n{}";
                return stream.write_all(head.as_bytes()).await.ok();
            }
            Fault::DropFirst => return None,
            Fault::StallFirst => return hung_up(stream).await,
            _ => {}
        }
        stream.write_all(HEAD).await.ok()?;
        let mut all = Vec::new();
        for n in 0..wish.pieces {
            if n == wish.at {
                match fault {
                    Fault::Drop => return None,
                    Fault::Stall => return hung_up(stream).await,
                    Fault::Malformed => chunk(stream, b"data: { broken\n\n").await?,
                    _ => {}
                }
            }
            let event = event(&wish.piece(n), wish.id.is_multiple_of(3));
            match fault {
                Fault::Merged => all.extend_from_slice(event.as_bytes()),
                Fault::Split => {
                    for piece in event.as_bytes().chunks(7) {
                        chunk(stream, piece).await?;
                    }
                }
                _ => chunk(stream, event.as_bytes()).await?,
            }
            if wish.pause > 0 && fault != Fault::Merged {
                tokio::time::sleep(Duration::from_millis(wish.pause as u64)).await;
            }
        }
        let end = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        all.extend_from_slice(end.as_bytes());
        chunk(stream, &all).await?;
        stream.write_all(END).await.ok()
    }
}

/// Waits until the other side hangs up.
async fn hung_up(stream: &mut TcpStream) -> Option<()> {
    let _ = stream.read(&mut [0; 16]).await;
    None
}

/// A piece as an event, in raw UTF-8 or in `\u` escapes.
fn event(piece: &str, escaped: bool) -> String {
    let mut json = serde_json::to_string(piece).unwrap();
    if escaped {
        let mut ascii = String::new();
        for unit in json.encode_utf16() {
            match u8::try_from(unit) {
                Ok(byte @ 0x20..0x7f) => ascii.push(byte.into()),
                _ => {
                    let _ = write!(ascii, "\\u{unit:04x}");
                }
            }
        }
        json = ascii;
    }
    format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{json}}},\"finish_reason\":null}}]}}\n\n"
    )
}
