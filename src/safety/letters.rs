//! Characters brought to pieces a rule can speak of: syllables, jamo, plain letters, marks. Masks
//! ("k1ll") and drawn-out letters are undone here.

use unicode_normalization::UnicodeNormalization;

use super::normalise::{DIGIT, LATIN};

/// Every character is brought to this first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Piece {
    Syllable(u8, u8, u8),
    Lead(u8),
    Vowel(u8),
    Tail(u8),
    Latin(u8),
    Digit(u8),
    Space,
    Stop,
    Mark(char),
    Other,
}

/// The pieces of a text.
pub(super) fn pieces_of(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(text.len() / 2 + 4);
    for c in text.chars() {
        push_pieces(c, &mut pieces);
    }
    unmask(&mut pieces);
    collapse(&mut pieces);
    pieces
}

pub(super) fn is_word(piece: Piece) -> bool {
    matches!(
        piece,
        Piece::Syllable(..)
            | Piece::Lead(_)
            | Piece::Vowel(_)
            | Piece::Tail(_)
            | Piece::Latin(_)
            | Piece::Digit(_)
    )
}

pub(super) fn is_hangul(piece: Piece) -> bool {
    matches!(
        piece,
        Piece::Syllable(..) | Piece::Lead(_) | Piece::Vowel(_) | Piece::Tail(_)
    )
}

fn push_pieces(c: char, out: &mut Vec<Piece>) {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => out.push(ascii(c)),
        '가'..='힣' => out.push(syllable(c)),
        '\'' | '’' | '‘' | '`' | '´' | '"' => {
            if c == '"' {
                out.push(Piece::Space);
            }
        }
        '.' | '!' | '?' | ',' | ';' | '。' | '…' => out.push(match c {
            ',' | ';' => Piece::Mark(','),
            _ => Piece::Stop,
        }),
        '\n' => {
            out.push(Piece::Space);
            out.push(Piece::Stop);
        }
        c if c.is_ascii_punctuation() => out.push(Piece::Mark(c)),
        c if c.is_whitespace() => out.push(Piece::Space),
        c if is_invisible(c) => {}
        c => {
            if let Some(plain) = look_alike(c) {
                out.push(ascii(plain));
                return;
            }
            for d in std::iter::once(c).nfkd() {
                push_decomposed(d, out);
            }
        }
    }
}

fn push_decomposed(c: char, out: &mut Vec<Piece>) {
    let piece = match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => ascii(c),
        '\u{1100}'..='\u{1112}' => Piece::Lead(offset(c, 0x1100)),
        '\u{1161}'..='\u{1175}' => Piece::Vowel(offset(c, 0x1161)),
        '\u{11A8}'..='\u{11C2}' => Piece::Tail(offset(c, 0x11A7)),
        '\u{300}'..='\u{36F}' => return,
        c if c.is_whitespace() => Piece::Space,
        c if is_invisible(c) => return,
        c if c.is_ascii_punctuation() => Piece::Mark(c),
        c if c.is_alphanumeric() => Piece::Other,
        '·' | 'ㆍ' | '•' | '~' | '〜' | '−' | '–' | '—' => Piece::Mark(c),
        _ => Piece::Other,
    };
    out.push(piece);
}

fn offset(c: char, base: u32) -> u8 {
    u8::try_from(u32::from(c).saturating_sub(base)).unwrap_or(0)
}

fn ascii(c: char) -> Piece {
    match c.to_ascii_lowercase() {
        l @ 'a'..='z' => Piece::Latin(LATIN + offset(l, 0x61)),
        d @ '0'..='9' => Piece::Digit(DIGIT + offset(d, 0x30)),
        other => Piece::Mark(other),
    }
}

fn syllable(c: char) -> Piece {
    let index = u32::from(c).saturating_sub(0xAC00);
    let part = |n: u32| u8::try_from(n).unwrap_or(0);
    Piece::Syllable(part(index / 588), part(index % 588 / 28), part(index % 28))
}

pub(super) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
        | '\u{FFA0}' | '\u{E0000}'..='\u{E0FFF}')
        || c.is_control() && !c.is_whitespace()
}

/// Cyrillic and Greek letters that pass for Latin ones.
const fn look_alike(c: char) -> Option<char> {
    Some(match c {
        'а' | 'А' | 'α' => 'a',
        'е' | 'Е' | 'ё' | 'ε' => 'e',
        'і' | 'І' | 'ι' | 'ı' => 'i',
        'о' | 'О' | 'ο' | 'σ' => 'o',
        'с' | 'С' => 'c',
        'ѕ' => 's',
        'ԁ' => 'd',
        'к' | 'К' | 'κ' => 'k',
        'м' | 'М' => 'm',
        'у' | 'У' => 'y',
        'р' | 'Р' => 'p',
        'х' | 'Х' => 'x',
        'т' | 'Т' => 't',
        'ӏ' => 'l',
        _ => return None,
    })
}

/// Digits and marks that stand for a letter inside a Latin word ("k1ll", "$uicide").
fn unmask(pieces: &mut [Piece]) {
    let letter = |piece: Option<&Piece>| matches!(piece, Some(Piece::Latin(_)));
    for i in 0..pieces.len() {
        let after = letter(pieces.get(i + 1));
        let before = i > 0 && letter(pieces.get(i - 1));
        let plain = match pieces[i] {
            Piece::Digit(code) if before && after => match code - DIGIT {
                0 => 'o',
                1 => 'i',
                3 => 'e',
                4 => 'a',
                5 => 's',
                7 => 't',
                _ => continue,
            },
            Piece::Mark('@') if before && after => 'a',
            Piece::Mark('$') if after => 's',
            Piece::Mark('|') if before && after => 'l',
            _ => continue,
        };
        pieces[i] = ascii(plain);
    }
}

/// Shortens what is drawn out: "dieeee", "killlll", "죽어어어어", "ㅋㅋㅋㅋ".
fn collapse(pieces: &mut Vec<Piece>) {
    let mut kept = 0;
    let mut i = 0;
    while i < pieces.len() {
        let piece = pieces[i];
        let run = pieces[i..]
            .iter()
            .take_while(|&&other| other == piece)
            .count();
        let keep = match piece {
            Piece::Space | Piece::Stop | Piece::Mark(_) | Piece::Other => 1,
            Piece::Latin(code) if run > 2 => {
                let doubles = [b'l', b's', b'f', b'p', b't'];
                if doubles.contains(&(code - LATIN + b'a')) {
                    2
                } else {
                    1
                }
            }
            Piece::Digit(_) => run,
            _ => run.min(2),
        };
        for _ in 0..keep {
            pieces[kept] = piece;
            kept += 1;
        }
        i += run;
    }
    pieces.truncate(kept);
}
