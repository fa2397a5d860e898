//! What the keys do.
//!
//! Owns the keys of every screen. Called by the update. Invariant: what a key does is told in the
//! help or at the foot of its screen; letters work with a Korean keyboard, too.

use super::super::form::{Field, Kind};
use super::super::layout;
use super::super::model::{Model, Overlay, Screen};
use super::super::msg::Effect;
use super::super::text::{clean, clean_line};
use super::{account, conversation, flow, scroll, sessions};
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use std::time::Duration;

/// How long a second Ctrl+C counts.
const TWICE: Duration = Duration::from_secs(3);

/// A key was pressed.
pub(super) fn press(model: &mut Model, key: KeyEvent, fx: &mut Vec<Effect>) {
    if key.kind == KeyEventKind::Release {
        return;
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match (key.code, control) {
        (KeyCode::Char('c' | 'ㅊ'), true) => return quit(model, false),
        (KeyCode::Char('q' | 'ㅂ'), true) => return quit(model, true),
        _ => {}
    }
    model.quit_armed = None;
    if model.overlay.is_some() {
        return overlay(model, key.code, fx);
    }
    if key.code == KeyCode::F(1) {
        model.overlay = Some(Overlay::Help);
        return;
    }
    match model.screen {
        Screen::Form => form(model, key, fx),
        Screen::Sessions => list(model, key.code, fx),
        Screen::Chat => chat(model, key, fx),
    }
}

/// A text was pasted.
pub(super) fn paste(model: &mut Model, text: &str) {
    if model.overlay.is_some() {
        return;
    }
    let taken = match (model.screen, &mut model.chat) {
        (Screen::Form, _) => {
            let line = match model.form.focus {
                Field::Password => text
                    .trim_end_matches(['\r', '\n'])
                    .replace(char::is_control, ""),
                Field::Name | Field::Email => clean_line(text),
            };
            model.form.wrong = None;
            model.form.focused().insert(&line)
        }
        (Screen::Chat, Some(chat)) if !chat.ended => chat.editor.insert(&clean(text)),
        _ => true,
    };
    if !taken {
        model.complain(model.texts.too_long);
    }
}

/// Quits at once, or when asked twice; with words that are not sent it always takes two.
fn quit(model: &mut Model, at_once: bool) {
    let unsent = model
        .chat
        .as_ref()
        .is_some_and(|chat| chat.transcript.waiting().is_some());
    if model.quit_armed.is_some() || (at_once && !unsent) {
        model.quit = true;
    } else {
        model.quit_armed = Some(model.now.plus(TWICE));
        model.tell(if unsent {
            model.texts.quit_unsent
        } else {
            model.texts.quit_again
        });
    }
}

fn overlay(model: &mut Model, code: KeyCode, fx: &mut Vec<Effect>) {
    match (model.overlay, code) {
        (Some(Overlay::End(session_id)), KeyCode::Enter | KeyCode::Char('y' | 'Y' | 'ㅛ')) => {
            model.overlay = None;
            sessions::end(model, session_id, fx);
        }
        (Some(Overlay::End(_)), KeyCode::Esc | KeyCode::Char('n' | 'N' | 'ㅜ'))
        | (Some(Overlay::Help | Overlay::Flow(_)), _) => model.overlay = None,
        _ => {}
    }
}

fn form(model: &mut Model, key: KeyEvent, fx: &mut Vec<Effect>) {
    match key.code {
        KeyCode::Tab | KeyCode::Down => model.form.step(1),
        KeyCode::BackTab | KeyCode::Up => model.form.step(-1),
        KeyCode::F(2) if !model.form.busy => model.form.switch(),
        KeyCode::Enter => fx.extend(model.form.submit(model.texts)),
        _ if model.form.busy => {}
        _ => {
            if edit(model, key) {
                model.form.wrong = None;
            }
        }
    }
}

fn list(model: &mut Model, code: KeyCode, fx: &mut Vec<Effect>) {
    match code {
        KeyCode::Up => sessions::select(model, -1),
        KeyCode::Down => sessions::select(model, 1),
        KeyCode::PageUp => sessions::select(model, -10),
        KeyCode::PageDown => sessions::select(model, 10),
        KeyCode::Home => sessions::select(model, i32::MIN),
        KeyCode::End => sessions::select(model, i32::MAX),
        KeyCode::Enter => sessions::open(model, fx),
        KeyCode::F(3) | KeyCode::Char('n' | 'N' | 'ㅜ') => sessions::begin(model, fx),
        KeyCode::F(4) | KeyCode::Char('e' | 'E' | 'ㄷ' | 'ㄸ') => sessions::ask_end(model),
        KeyCode::F(5) | KeyCode::Char('r' | 'R' | 'ㄱ' | 'ㄲ') => sessions::show(model, fx),
        KeyCode::F(6) | KeyCode::Char('f' | 'F' | 'ㄹ') => flow::show(model, fx),
        KeyCode::Char('l' | 'L' | 'ㅣ') => {
            account::show(model, fx);
            model.form.kind = Kind::LogIn;
        }
        KeyCode::Char('?') => model.overlay = Some(Overlay::Help),
        KeyCode::F(2) | KeyCode::Esc if model.chat.is_some() => model.screen = Screen::Chat,
        _ => {}
    }
}

fn chat(model: &mut Model, key: KeyEvent, fx: &mut Vec<Effect>) {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let newline = key
        .modifiers
        .intersects(KeyModifiers::ALT | KeyModifiers::SHIFT);
    let Some(chat) = &mut model.chat else { return };
    let empty = chat.editor.is_empty();
    match key.code {
        KeyCode::Char('?') if empty => model.overlay = Some(Overlay::Help),
        KeyCode::F(2) => sessions::show(model, fx),
        KeyCode::F(3) => sessions::begin(model, fx),
        KeyCode::F(4) => sessions::ask_end(model),
        KeyCode::F(6) => flow::show(model, fx),
        KeyCode::Esc => conversation::stop(model, fx),
        KeyCode::PageUp => scroll::pages(model, -1),
        KeyCode::PageDown => scroll::pages(model, 1),
        KeyCode::Up if control || empty => scroll::by(model, -1),
        KeyCode::Down if control || empty => scroll::by(model, 1),
        KeyCode::End if control || empty => scroll::to_end(model),
        _ if chat.ended => {}
        KeyCode::Enter if newline => type_in(model, "\n"),
        KeyCode::Char('j' | 'ㅓ') if control => type_in(model, "\n"),
        KeyCode::Enter => conversation::submit(model, fx),
        _ => {
            edit(model, key);
        }
    }
}

fn type_in(model: &mut Model, text: &str) {
    let taken = match (model.screen, &mut model.chat) {
        (Screen::Form, _) => model.form.focused().insert(text),
        (Screen::Chat, Some(chat)) => chat.editor.insert(text),
        _ => true,
    };
    if !taken {
        model.complain(model.texts.too_long);
    }
}

/// A key on the text that is being typed; whether it was one that changes it.
fn edit(model: &mut Model, key: KeyEvent) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let word = control || key.modifiers.contains(KeyModifiers::ALT);
    let width = usize::from(layout::input_width(layout::screen(model).input));
    if let KeyCode::Char(c) = key.code
        && !word
        && !c.is_control()
    {
        type_in(model, c.encode_utf8(&mut [0; 4]));
        return true;
    }
    let editor = match (model.screen, &mut model.chat) {
        (Screen::Form, _) => model.form.focused(),
        (Screen::Chat, Some(chat)) => &mut chat.editor,
        _ => return false,
    };
    match key.code {
        KeyCode::Backspace if word => editor.delete_word(),
        KeyCode::Char('w') if control => editor.delete_word(),
        KeyCode::Char('u') if control => editor.delete_to_home(),
        KeyCode::Char('k') if control => editor.delete_to_end(),
        KeyCode::Backspace => editor.backspace(),
        KeyCode::Char('h') if control => editor.backspace(),
        KeyCode::Delete => editor.delete(),
        KeyCode::Char('d') if control => editor.delete(),
        _ => {
            go(editor, key.code, word, width);
            return false;
        }
    }
    true
}

/// A key that moves the cursor.
fn go(editor: &mut super::super::editor::Editor, code: KeyCode, word: bool, width: usize) {
    match code {
        KeyCode::Left if word => editor.word_back(),
        KeyCode::Right if word => editor.word_on(),
        KeyCode::Char('b') if word => editor.left(),
        KeyCode::Char('f') if word => editor.right(),
        KeyCode::Left => editor.left(),
        KeyCode::Right => editor.right(),
        KeyCode::Home => editor.home(),
        KeyCode::End => editor.end(),
        KeyCode::Char('a') if word => editor.home(),
        KeyCode::Char('e') if word => editor.end(),
        KeyCode::Up => {
            editor.up(width);
        }
        KeyCode::Down => {
            editor.down(width);
        }
        _ => {}
    }
}
