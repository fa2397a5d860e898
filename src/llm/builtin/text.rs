//! Owns how words are looked at: the compact form cues are searched in, the sections of the data
//! files, and the pieces an answer is streamed in. Called by the two readers and by `compose`.
//! Invariant: everything here is total; no input, however odd, can make it fail.

use std::collections::BTreeMap;

use unicode_normalization::UnicodeNormalization;

/// Letters and digits of a text without spaces, with the word edges remembered: people space
/// Korean freely, so `죽고싶다` and `죽고 싶다` must look the same to a cue.
#[derive(Debug)]
pub(super) struct Compact {
    pub(super) chars: Vec<char>,
    starts: Vec<bool>,
    /// Which characters may be there at all, folded into 1024 bits: most cues end here.
    seen: [u64; 16],
}

/// The place of a character among the bits of `Compact::seen`.
fn bit(c: char) -> (usize, u64) {
    let code = u32::from(c);
    ((code >> 6) as usize % 16, 1 << (code % 64))
}

impl Compact {
    pub(super) fn new(text: &str) -> Self {
        let (mut chars, mut starts, mut fresh) = (Vec::new(), Vec::new(), true);
        let mut letters = text.nfc().flat_map(char::to_lowercase).peekable();
        while let Some(c) = letters.next() {
            if c == 'ㅎ' && letters.peek() == Some(&'ㅇ') {
                // A greeting, not laughter.
                chars.push(c);
                starts.push(std::mem::take(&mut fresh));
            } else if matches!(
                c,
                '\'' | '’' | '‘' | '`' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}'
            ) || matches!(c, 'ㅠ' | 'ㅜ' | 'ㅋ' | 'ㅎ')
            {
                // Dropped without making a new word.
            } else if c.is_alphanumeric() {
                chars.push(c);
                starts.push(fresh);
                fresh = false;
            } else {
                fresh = true;
            }
        }
        let mut seen = [0; 16];
        for &c in &chars {
            let (word, mask) = bit(c);
            seen[word] |= mask;
        }
        Self {
            chars,
            starts,
            seen,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.chars.len()
    }

    pub(super) fn starts_word(&self, at: usize) -> bool {
        self.starts.get(at).copied().unwrap_or(true)
    }

    /// The character at a place counted from the start, if there is one.
    pub(super) fn at(&self, index: usize) -> Option<char> {
        self.chars.get(index).copied()
    }

    /// Up to `n` characters from `from` on.
    pub(super) fn after(&self, from: usize, n: usize) -> String {
        self.chars.iter().skip(from).take(n).collect()
    }

    /// The words before `at`, nearest first.
    pub(super) fn words_before(&self, at: usize) -> Vec<String> {
        let (mut words, mut word) = (Vec::new(), Vec::new());
        for i in (0..at.min(self.len())).rev() {
            word.push(self.chars[i]);
            if self.starts_word(i) {
                words.push(word.drain(..).rev().collect());
            }
        }
        words
    }

    fn matches_at(&self, cue: &Cue, at: usize) -> bool {
        let end = at + cue.chars.len();
        end <= self.len()
            && self.chars[at..end] == cue.chars[..]
            && !(cue.edges.joined && self.starts_word(at + 1))
            && (!cue.edges.start || self.starts_word(at))
            && (!cue.edges.end || self.starts_word(end))
    }

    /// Where `cue` stands in this text.
    pub(super) fn find<'a>(&'a self, cue: &'a Cue) -> impl Iterator<Item = usize> + 'a {
        let possible = cue.chars.iter().all(|&c| {
            let (word, mask) = bit(c);
            self.seen[word] & mask != 0
        });
        let places = match cue.place {
            _ if !possible => 0..0,
            Place::Anywhere => 0..self.len(),
            Place::AtTheEnd => self.len().saturating_sub(cue.len())..self.len(),
            Place::Whole if self.len() != cue.len() => 0..0,
            Place::Whole => 0..1,
        };
        places
            .filter(move |&at| self.chars.get(at) == cue.chars.first() && self.matches_at(cue, at))
    }

    /// Whether any of the cues stands in this text.
    pub(super) fn has(&self, cues: &[Cue]) -> bool {
        cues.iter().any(|cue| self.find(cue).next().is_some())
    }
}

/// One pattern to look for.
#[derive(Debug)]
pub(super) struct Cue {
    pub(super) chars: Vec<char>,
    edges: Edges,
    place: Place,
    /// A past form that speaks of now (`지쳤어`).
    pub(super) lasting: bool,
    /// A feeling whose `이/가` noun is its object (`엄마가 미워`).
    pub(super) of_object: bool,
}

/// Which ends of a cue must be word edges.
#[derive(Debug, Clone, Copy)]
struct Edges {
    start: bool,
    end: bool,
    /// So short that it may not lie across two words.
    joined: bool,
}

/// Where in a message a cue may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Anywhere,
    AtTheEnd,
    Whole,
}

impl Cue {
    /// Whether it is exactly this word.
    pub(super) fn is(&self, word: &str) -> bool {
        word.chars().eq(self.chars.iter().copied())
    }

    /// How many characters it has.
    pub(super) fn len(&self) -> usize {
        self.chars.len()
    }

    /// A cue that must begin a word.
    pub(super) fn at_word_start(surface: &str) -> Option<Self> {
        Self::parse(surface, false).map(|cue| Self {
            edges: Edges {
                start: true,
                ..cue.edges
            },
            ..cue
        })
    }

    /// Reads one cue: `^` at a word start, `$` at a word end, `=` the whole text, `#` at its end, `!` lasting,
    /// `@` of an object. With `by_word`, both edges must be word edges unless `*` stands there.
    fn parse(raw: &str, by_word: bool) -> Option<Self> {
        let has = |mark: char| raw.contains(mark);
        let chars: Vec<char> = raw.chars().filter(|c| c.is_alphanumeric()).collect();
        (!chars.is_empty()).then(|| Self {
            edges: Edges {
                start: has('^') || (by_word && !raw.starts_with('*')),
                end: has('$') || (by_word && !raw.ends_with('*')),
                joined: chars.len() == 2 && !raw.contains(' '),
            },
            place: match () {
                () if has('=') => Place::Whole,
                () if has('#') => Place::AtTheEnd,
                () => Place::Anywhere,
            },
            lasting: has('!'),
            of_object: has('@'),
            chars,
        })
    }
}

/// Named lists of cues, read from a data file (`[name]`, then cues separated by commas).
#[derive(Debug)]
pub(super) struct Cues(BTreeMap<&'static str, Vec<Cue>>);

impl Cues {
    pub(super) fn parse(file: &'static str, by_word: bool) -> Self {
        let mut map: BTreeMap<&'static str, Vec<Cue>> = BTreeMap::new();
        for (name, line) in sections(file) {
            let cues = line
                .split(',')
                .filter_map(|raw| Cue::parse(raw.trim(), by_word));
            map.entry(name).or_default().extend(cues);
        }
        Self(map)
    }

    pub(super) fn get(&self, name: &str) -> &[Cue] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }
}

/// The lines of a data file, each with the section it stands in; `#` starts a comment line.
pub(super) fn sections(file: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut name = "";
    file.lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .filter_map(move |line| {
            if let Some(head) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                name = head;
                return None;
            }
            Some((name, line))
        })
}

/// Splits a text into its sentences and comma clauses.
pub(super) fn clauses(text: &str) -> impl Iterator<Item = &str> {
    text.split([
        '.', '!', '?', '\n', ',', ';', '…', '~', '。', '、', '！', '？',
    ])
    .map(str::trim)
    .filter(|part| !part.is_empty())
}

/// A syllable, jamo or conjoining jamo of Hangul.
pub(super) fn is_hangul(c: char) -> bool {
    matches!(c, '\u{ac00}'..='\u{d7a3}' | '\u{1100}'..='\u{11ff}' | '\u{3131}'..='\u{318e}'
        | '\u{a960}'..='\u{a97f}' | '\u{d7b0}'..='\u{d7ff}' | '\u{ffa1}'..='\u{ffdc}')
}

/// The beginning and the end of a very long text: enough to tell its feeling by.
pub(super) fn gist(text: &str) -> std::borrow::Cow<'_, str> {
    const HEAD: usize = 3_000;
    const TAIL: usize = 6_000;
    if text.len() <= HEAD + TAIL {
        return text.into();
    }
    let (head, tail) = (
        text.floor_char_boundary(HEAD),
        text.ceil_char_boundary(text.len() - TAIL),
    );
    format!("{}\n{}", &text[..head], &text[tail..]).into()
}

/// A small stable hash: the same words give the same choice on every machine.
pub(super) fn hash(text: &str, salt: usize) -> usize {
    let mut h: u32 = 0x811c_9dc5;
    for byte in text.bytes().chain(salt.to_le_bytes()) {
        h = (h ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    (h ^ (h >> 15)) as usize
}

/// Splits an answer into the pieces it is streamed in: a word with the space after it. A cut is
/// made only between white space and a character that certainly begins a grapheme cluster.
pub(super) fn pieces(answer: &str) -> Vec<&str> {
    let (mut out, mut from, mut after_space) = (Vec::new(), 0, false);
    for (at, c) in answer.char_indices() {
        let begins = c.is_ascii_graphic()
            || matches!(c, '\u{ac00}'..='\u{d7a3}' | '\u{3131}'..='\u{318e}' | '‘' | '“' | '…');
        if after_space && begins && at > from {
            out.push(&answer[from..at]);
            from = at;
        }
        after_space = c.is_whitespace();
    }
    if from < answer.len() {
        out.push(&answer[from..]);
    }
    out
}
