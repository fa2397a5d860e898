//! `deepme top`: a running server at a glance.
//!
//! Owns what is shown of the figures that a server tells at `GET /metrics`. Called by the command line with a
//! [`FiguresAt`]. The core is pure: [`Top`] takes keys and readings, [`view`] paints it; [`run`] owns the terminal, the
//! clock and the question that is under way. Invariants: one question at a time, and none while paused; what a server
//! that does not answer said before is not shown as if it held; no words of anybody are there to be shown.

mod figures;
mod history;
mod plain;
mod sections;
mod view;

#[cfg(test)]
mod tests;

use super::TuiError;
use super::shell::{Terminal, terminated};
use crate::client::{ClientError, FiguresAt};
use crate::domain::time::SystemClock;
use crate::domain::{Clock as _, Timestamp};
use crate::wire::exposition::Exposition;
use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use figures::Figures;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use history::History;
use std::future::pending;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

type Answer = Result<Exposition, ClientError>;

/// Everything that is known while it is shown.
#[derive(Debug)]
struct Top {
    /// Where the figures are.
    url: String,
    /// How often they are read.
    every: Duration,
    history: History,
    figures: Figures,
    /// Why the last question has no answer, and since when there is none.
    trouble: Option<(String, Duration)>,
    /// The time of the last answer or failure, since the start of the program.
    heard: Option<Duration>,
    paused: bool,
    quit: bool,
    /// Whether the terminal is to be given colours.
    colours: bool,
}

impl Top {
    fn new(url: String, every: Duration) -> Self {
        Self {
            url,
            every,
            history: History::default(),
            figures: Figures::default(),
            trouble: None,
            heard: None,
            paused: false,
            quit: false,
            colours: true,
        }
    }

    fn key(&mut self, key: KeyEvent) {
        if key.kind == KeyEventKind::Release {
            return;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => self.quit = true,
            // Where Hangul is typed, the keys of q and p are these.
            KeyCode::Char('q' | 'Q' | 'ㅂ') | KeyCode::Esc => self.quit = true,
            KeyCode::Char('p' | 'P' | 'ㅔ') => self.paused = !self.paused,
            _ => {}
        }
    }

    /// A question was answered, or was not.
    fn heard(&mut self, at: Duration, now: Timestamp, answer: Answer) {
        self.heard = Some(at);
        match answer {
            Ok(page) => {
                self.history.add(at, page);
                self.figures = Figures::of(&self.history, now);
                self.trouble = None;
            }
            Err(error) => {
                let since = self.trouble.take().map_or(at, |(_, since)| since);
                self.figures = Figures::default();
                self.trouble = Some((error.to_string(), since));
            }
        }
    }
}

/// Shows a server until the person quits.
pub async fn run(at: FiguresAt, every: Duration) -> Result<(), TuiError> {
    let mut terminal = Terminal::enter(false)?;
    let mut top = Top::new(at.url().to_string(), every);
    top.colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let begun = Instant::now();
    let mut events = EventStream::new();
    let mut ended = std::pin::pin!(terminated());
    let mut tick = interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut asked: Option<BoxFuture<'_, Answer>> = None;
    while !top.quit {
        terminal.draw(|frame| view::view(&top, frame))?;
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(Event::Key(key))) => top.key(key),
                Some(event) => drop(event?),
                None => break,
            },
            answer = answer(asked.as_mut()) => {
                asked = None;
                top.heard(begun.elapsed(), SystemClock.now(), answer);
            }
            _ = tick.tick() => if !top.paused && asked.is_none() {
                asked = Some(Box::pin(at.read()));
            },
            () = &mut ended => break,
        }
    }
    Ok(())
}

/// What is answered to a question; without one, nothing ever.
async fn answer(asked: Option<&mut BoxFuture<'_, Answer>>) -> Answer {
    match asked {
        Some(asked) => asked.await,
        None => pending().await,
    }
}

/// Two readings of a server: what is shown, once.
#[derive(Debug)]
pub struct Look(Top);

impl Look {
    /// Reads twice, so that there are rates.
    pub async fn at(at: &FiguresAt, every: Duration) -> Result<Self, ClientError> {
        let mut top = Top::new(at.url().to_string(), every);
        let begun = Instant::now();
        for wait in [Duration::ZERO, every] {
            sleep(wait).await;
            let page = at.read().await?;
            top.heard(begun.elapsed(), SystemClock.now(), Ok(page));
        }
        Ok(Self(top))
    }

    /// For people.
    pub fn text(&self) -> String {
        plain::text(&self.0)
    }

    /// For scripts.
    pub fn json(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::to_value(&self.0.figures)
    }
}
