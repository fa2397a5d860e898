//! The terminal, taken and given back.
//!
//! Owns raw mode, the alternate screen, bracketed paste and the mouse. Used by the shell and by `top`.
//! Invariants: dropping [`Terminal`] gives everything back, on an error and on a panic, too; a panic
//! elsewhere in the process, such as in a server that runs in it, does not tear the screen, but is
//! told when the screen is given back.

use crossterm::cursor::Show;
use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use crossterm::execute;
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use ratatui::backend::{Backend as _, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::{DefaultTerminal, Frame};
use std::io::{self, Write as _, stderr, stdout};
use std::sync::{Arc, Mutex, PoisonError};

/// The terminal while it is this client's.
pub(in crate::tui) struct Terminal {
    screen: DefaultTerminal,
    /// The joined graphemes on the screen, and where.
    joined: Vec<(usize, String)>,
    // Dropped after the screen.
    _restore: Restore,
}

impl Terminal {
    /// Takes the terminal, and the mouse if that is wanted: then the terminal itself selects nothing any more.
    pub(in crate::tui) fn enter(mouse: bool) -> io::Result<Self> {
        let restore = Restore(catch_panics());
        enable_raw_mode()?;
        execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste)?;
        if mouse {
            execute!(stdout(), EnableMouseCapture)?;
        }
        let screen = ratatui::Terminal::new(CrosstermBackend::new(stdout()))?;
        Ok(Self {
            screen,
            joined: Vec::new(),
            _restore: restore,
        })
    }

    /// Columns and rows.
    pub(in crate::tui) fn size(&self) -> io::Result<(u16, u16)> {
        let size = self.screen.size()?;
        Ok((size.width, size.height))
    }

    /// Paints. Terminals do not agree on how wide a family, a flag or a coloured heart is, and leave
    /// parts of them behind when they move: then everything is painted anew, at one stroke where
    /// the terminal knows how.
    pub(in crate::tui) fn draw(&mut self, view: impl Fn(&mut Frame<'_>)) -> io::Result<()> {
        execute!(stdout(), BeginSynchronizedUpdate)?;
        let joined = joined(self.screen.draw(&view)?.buffer);
        if joined != self.joined {
            self.joined = joined;
            self.screen.backend_mut().clear()?;
            // Forgets what was painted, so that all of it is painted again.
            self.screen.swap_buffers();
            self.screen.draw(&view)?;
        }
        execute!(stdout(), EndSynchronizedUpdate)
    }
}

/// The graphemes whose width is a matter of opinion, and where they stand.
fn joined(buffer: &Buffer) -> Vec<(usize, String)> {
    let doubtful = |c| matches!(c, '\u{200d}' | '\u{fe0f}' | '\u{1f1e6}'..='\u{1f1ff}' | '\u{1f3fb}'..='\u{1f3ff}');
    let cells = buffer.content.iter().enumerate();
    let cells = cells.filter(|(_, cell)| cell.symbol().len() > 4);
    let cells = cells.filter(|(_, cell)| cell.symbol().contains(doubtful));
    cells
        .map(|(at, cell)| (at, cell.symbol().to_owned()))
        .collect()
}

/// What panics have to say while the screen is taken; `None` when it is not.
type Caught = Arc<Mutex<Option<Vec<String>>>>;

struct Restore(Caught);

impl Drop for Restore {
    fn drop(&mut self) {
        // As much as can be done: whatever fails, the rest is tried.
        let _ = execute!(
            stdout(),
            EndSynchronizedUpdate,
            DisableMouseCapture,
            DisableBracketedPaste,
            LeaveAlternateScreen,
            Show
        );
        let _ = disable_raw_mode();
        let caught = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        for panic in caught.into_iter().flatten() {
            let _ = writeln!(stderr(), "{panic}");
        }
    }
}

/// Keeps what panics say until the screen is given back. The hook stays for good, as it cannot be
/// taken out while unwinding, but from then on only passes on.
fn catch_panics() -> Caught {
    let caught = Caught::new(Mutex::new(Some(Vec::new())));
    let shared = Arc::clone(&caught);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        match &mut *shared.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(said) => said.push(panic.to_string()),
            None => before(panic),
        }
    }));
    caught
}
