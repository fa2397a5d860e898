//! Turns a person's words into a stream of symbols that survives typos and evasion.
//!
//! Hangul is written out as jamo without the silent ㅇ, so '싶어' and '시퍼' are one spelling, while
//! a tense consonant counts twice, so '죽고' (= '주꼬') stays apart from '주고'. Latin letters are
//! lower-cased and unmasked. Spaces and marks leave the stream and are kept as a boundary before the
//! symbol that follows, so a rule can tell '자 살' from the end of '여자' before '살'.

use super::letters::{Piece, is_hangul, is_word, pieces_of};

/// How many symbols there are; the last one stands for everything no rule speaks of.
pub(super) const ALPHABET: usize = 15 + 21 + 26 + 10 + 1;
const NG: u8 = 14;
const VOWEL: u8 = 15;
pub(super) const LATIN: u8 = VOWEL + 21;
pub(super) const DIGIT: u8 = LATIN + 26;
const OTHER: u8 = DIGIT + 10;

/// The basic consonants, by their index in the symbol alphabet.
/// ㄱ0 ㄴ1 ㄷ2 ㄹ3 ㅁ4 ㅂ5 ㅅ6 ㅈ7 ㅊ8 ㅋ9 ㅌ10 ㅍ11 ㅎ12 (13 is free) ㅇ14
#[rustfmt::skip]
const LEADS: [&[u8]; 19] = [
    &[0], &[0, 0], &[1], &[2], &[2, 2], &[3], &[4], &[5], &[5, 5], &[6], &[6, 6], &[NG], &[7],
    &[7, 7], &[8], &[9], &[10], &[11], &[12],
];
#[rustfmt::skip]
const TAILS: [&[u8]; 28] = [
    &[], &[0], &[0, 0], &[0, 6], &[1], &[1, 7], &[1, 12], &[2], &[3], &[3, 0], &[3, 4], &[3, 5],
    &[3, 6], &[3, 10], &[3, 11], &[3, 12], &[4], &[5], &[5, 6], &[6], &[6, 6], &[NG], &[7],
    &[8], &[9], &[10], &[11], &[12],
];

/// What stands before a symbol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bound {
    /// The same word goes on.
    #[default]
    Inside,
    /// A mark inside a word, a change of script, or a space between single letters.
    Soft,
    /// A space.
    Space,
    /// The end of a sentence.
    Sentence,
    /// The end of a turn, or the start of the text.
    Turn,
}

/// One symbol in its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Symbol {
    pub(super) code: u8,
    /// Whether a syllable or a letter begins here.
    pub(super) first: bool,
    pub(super) bound: Bound,
    /// Distance from the start: a syllable is 1, a Latin word 2, a sentence's end 4.
    pub(super) at: u32,
}

/// The normalised text.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) symbols: Vec<Symbol>,
}

pub(super) fn is_latin(code: u8) -> bool {
    (LATIN..OTHER).contains(&code)
}

impl Stream {
    /// The symbols of these turns, and where each turn begins.
    pub(super) fn of_turns<'a>(turns: impl Iterator<Item = &'a str> + Clone) -> (Self, Vec<usize>) {
        let mut writer = Writer::default();
        // Three bytes are a syllable, which has seldom more than three symbols.
        writer.out.reserve(turns.clone().map(str::len).sum());
        let mut starts = Vec::new();
        for turn in turns {
            writer.pending = Bound::Turn;
            starts.push(writer.out.len());
            writer.text(turn);
        }
        (
            Self {
                symbols: writer.out,
            },
            starts,
        )
    }
}

#[derive(Default)]
struct Writer {
    out: Vec<Symbol>,
    pending: Bound,
    at: u32,
    /// Whether the last unit was a jamo on its own.
    loose_jamo: bool,
}

impl Writer {
    fn text(&mut self, text: &str) {
        let pieces = pieces_of(text);
        let mut at = 0;
        while at < pieces.len() {
            at = self.piece(&pieces, at);
        }
    }

    /// Writes the piece at `i` and says where to go on.
    fn piece(&mut self, pieces: &[Piece], i: usize) -> usize {
        match pieces[i] {
            Piece::Syllable(lead, vowel, tail) => {
                self.syllable(Some(lead), Some(vowel), tail);
            }
            Piece::Lead(lead) => {
                if let Some(Piece::Vowel(vowel)) = pieces.get(i + 1) {
                    if let Some(Piece::Tail(tail)) = pieces.get(i + 2) {
                        self.syllable(Some(lead), Some(*vowel), *tail);
                        return i + 3;
                    }
                    self.syllable(Some(lead), Some(*vowel), 0);
                    return i + 2;
                }
                self.syllable(Some(lead), None, 0);
            }
            Piece::Vowel(vowel) => self.syllable(None, Some(vowel), 0),
            Piece::Tail(tail) => self.syllable(None, None, tail),
            Piece::Latin(code) | Piece::Digit(code) => self.latin(code),
            Piece::Space => {
                let soft = spelled_out(pieces, i);
                self.bound(if soft { Bound::Soft } else { Bound::Space });
            }
            Piece::Stop => {
                let glued = i > 0
                    && is_word(pieces[i - 1])
                    && pieces.get(i + 1).is_some_and(|&next| is_word(next));
                self.bound(if glued { Bound::Soft } else { Bound::Sentence });
            }
            Piece::Mark(_) => self.bound(Bound::Soft),
            Piece::Other => {
                self.bound(Bound::Space);
                self.at += 1;
            }
        }
        i + 1
    }

    fn bound(&mut self, bound: Bound) {
        self.pending = self.pending.max(bound);
    }

    fn latin(&mut self, code: u8) {
        // A word ends where the script changes, and where letters turn into digits.
        let goes_on = self
            .out
            .last()
            .is_some_and(|last| is_latin(last.code) && (last.code >= DIGIT) == (code >= DIGIT));
        if !goes_on {
            self.bound(Bound::Soft);
        }
        if self.pending > Bound::Inside {
            self.at += 2;
        }
        self.push(code, true);
    }

    fn syllable(&mut self, lead: Option<u8>, vowel: Option<u8>, tail: u8) {
        if self.out.last().is_some_and(|last| is_latin(last.code)) {
            self.bound(Bound::Soft);
        }
        let loose = lead.is_none() || vowel.is_none();
        if loose || self.loose_jamo {
            // ㅋㅋ and ㅠㅠ hang on to a word without being part of it.
            self.bound(Bound::Soft);
        }
        self.loose_jamo = loose;
        self.at += 1;
        let mut first = true;
        let mut palatal = false;
        if let Some(lead) = lead {
            // A silent ㅇ is not written when a vowel follows it.
            if !(lead == 11 && vowel.is_some()) {
                for &code in LEADS.get(usize::from(lead)).copied().unwrap_or_default() {
                    self.push(code, first);
                    first = false;
                    palatal = matches!(code, 6..=8);
                }
            }
        }
        if let Some(vowel) = vowel {
            self.push(
                VOWEL + if palatal { plain_vowel(vowel) } else { vowel },
                first,
            );
            first = false;
        }
        for &code in TAILS.get(usize::from(tail)).copied().unwrap_or_default() {
            self.push(code, first);
            first = false;
        }
    }

    fn push(&mut self, code: u8, first: bool) {
        let bound = std::mem::take(&mut self.pending);
        self.at += match bound {
            Bound::Inside | Bound::Soft | Bound::Space => 0,
            Bound::Sentence => 4,
            Bound::Turn => 8,
        };
        self.out.push(Symbol {
            code,
            first,
            bound,
            at: self.at,
        });
    }
}

/// After ㅅ, ㅈ and ㅊ people hear no difference between ㅑ and ㅏ, ㅕ and ㅓ, ㅛ and ㅗ, ㅠ and ㅜ.
const fn plain_vowel(vowel: u8) -> u8 {
    match vowel {
        2 => 0,
        6 => 4,
        12 => 8,
        17 => 13,
        other => other,
    }
}

/// Whether the space at `i` stands between letters that are spelled out one by one.
fn spelled_out(pieces: &[Piece], i: usize) -> bool {
    let (Some(before), Some(after)) = (i.checked_sub(1), pieces.get(i + 1)) else {
        return false;
    };
    let alone = |k: usize| {
        is_word(pieces[k])
            && (k == 0 || !is_word(pieces[k - 1]))
            && pieces.get(k + 1).is_none_or(|&next| !is_word(next))
    };
    if !(alone(before) && alone(i + 1)) {
        return false;
    }
    if is_hangul(pieces[before]) && is_hangul(*after) {
        return true;
    }
    // Two single Latin letters are common ("i a"), three are not.
    let latin = |k: usize| matches!(pieces.get(k), Some(Piece::Latin(_)));
    latin(before)
        && latin(i + 1)
        && ((before >= 2 && latin(before - 2) && alone(before - 2))
            || (latin(i + 3) && alone(i + 3)))
}
