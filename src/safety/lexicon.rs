//! The words of the rule pack, and finding all of them.
//!
//! Owns how a spelling is written ([`Pattern`], [`expand`]) and the [`Lexicon`] of all of them. Called by `pack`, which builds it,
//! and by `rules`. Invariant: every spelling that fits the text is found, those that end first before the others.
//!
//! A word can only begin where a syllable or a letter does, most only where a word does, and none has more than [`LONGEST`]
//! symbols: so the text is followed from each of these places until no word goes on. That is fewer steps through less
//! memory than an automaton with failure links takes, which must ask at every symbol.

use std::collections::HashMap;
use std::ops::Range;

use super::normalise::{ALPHABET, Bound, Stream, is_latin};

/// One spelling of a word class.
///
/// How it is written in the pack: `(a|b|)` are alternatives, a space in Hangul may be there or not
/// and between Latin words must be there, `_` is a space that may be there in Latin too. In front:
/// `~` may begin inside a word, `%` may hold spaces anywhere (evasion). At the end: `+` may go on
/// inside the syllable or the Latin word, `$` must be the end of the word.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    class: u16,
    codes: Vec<u8>,
    gaps: Vec<Gap>,
    inside: bool,
    loose: bool,
    end: End,
}

/// Where a spelling must end in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// At the end of a syllable; in Latin, of a word.
    Syllable,
    /// At the end of a word.
    Word,
    /// Anywhere.
    Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Gap {
    Closed,
    May,
    Must,
}

/// A word found in a text, in symbols: from `start` up to and without `end`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    pub(super) class: u16,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Pattern {
    /// Reads one alternative-free spelling.
    pub(super) fn read(class: u16, text: &str) -> Option<Self> {
        let mut body = text;
        let (mut inside, mut loose, mut end) = (false, false, End::Syllable);
        loop {
            match body.chars().next()? {
                '~' => inside = true,
                '%' => loose = true,
                _ => break,
            }
            body = body.get(1..)?;
        }
        if let Some(rest) = body.strip_suffix('+') {
            (end, body) = (End::Open, rest);
        }
        // An alternative may end the word although the others go on: `(가|나$)+`.
        if let Some(rest) = body.strip_suffix('$') {
            (end, body) = (End::Word, rest);
        }
        if body.contains(|c: char| c.is_ascii_punctuation() && c != '_') {
            return None;
        }
        let spaced = body.replace('_', " ");
        let (stream, _) = Stream::of_turns(std::iter::once(spaced.as_str()));
        let optional: Vec<bool> = body
            .chars()
            .filter(|c| matches!(c, ' ' | '_'))
            .map(|c| c == '_')
            .collect();
        let mut seen = optional.iter();
        let codes: Vec<u8> = stream.symbols.iter().map(|symbol| symbol.code).collect();
        let mut gaps = Vec::with_capacity(codes.len());
        for (i, symbol) in stream.symbols.iter().enumerate() {
            let latin = i > 0 && is_latin(symbol.code) && is_latin(codes[i - 1]);
            let split = i > 0 && symbol.bound > Bound::Inside;
            // Single letters in a row have soft bounds here as well; both count as written spaces.
            gaps.push(if !split {
                Gap::Closed
            } else if latin && !seen.next().copied().unwrap_or(false) {
                Gap::Must
            } else {
                if !latin {
                    seen.next();
                }
                Gap::May
            });
        }
        if codes.is_empty() || codes.len() > LONGEST {
            return None;
        }
        Some(Self {
            class,
            codes,
            gaps,
            inside,
            loose,
            end,
        })
    }
}

/// Most symbols of a spelling: what bounds the time that a text takes.
const LONGEST: usize = 64;

/// All spellings that a text with alternatives stands for; `None` if the brackets do not close.
pub(super) fn expand(text: &str) -> Option<Vec<String>> {
    let Some(open) = text.find('(') else {
        return (!text.contains(')')).then(|| vec![text.to_owned()]);
    };
    let mut depth = 0usize;
    let mut parts = Vec::new();
    let mut from = open + 1;
    let mut close = None;
    for (i, c) in text.char_indices().skip_while(|&(i, _)| i < open) {
        match c {
            '(' => depth += 1,
            ')' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    parts.push(&text[from..i]);
                    close = Some(i);
                    break;
                }
            }
            '|' if depth == 1 => {
                parts.push(&text[from..i]);
                from = i + 1;
            }
            _ => {}
        }
    }
    let rests = expand(&text[close? + 1..])?;
    let mut out = Vec::new();
    for part in parts {
        for middle in expand(part)? {
            for rest in &rests {
                out.push(format!("{}{middle}{rest}", &text[..open]));
            }
        }
    }
    Some(out)
}

/// Every spelling as a path. There are hundreds of thousands of nodes, so what is kept of one is small: they are numbered by
/// their distance from the root, so that those behind a node are a run, which begins where the run of the node before it ends.
#[derive(Debug)]
pub(super) struct Lexicon {
    /// By the node they end at.
    spellings: Vec<Spelling>,
    gaps: Vec<Gap>,
    /// The node behind each of the first nodes by each symbol, 0 is none: roots and those behind them have many.
    near: Vec<[u32; ALPHABET]>,
    nodes: Vec<Node>,
    /// By which symbol a node is entered.
    codes: Vec<u8>,
}

/// The root of the spellings that must be at the beginning of a word.
const AT_WORD: u32 = 0;
/// The root of those that need not.
const ANYWHERE: u32 = 1;
const ROOTS: usize = 2;

/// What is kept of a [`Pattern`] beside its symbols, which are the path to it.
#[derive(Clone, Copy, Debug)]
struct Spelling {
    /// Where its gaps begin, and how many they are.
    gaps: (u32, u32),
    class: u16,
    loose: bool,
    end: End,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    /// The first node behind it.
    next: u32,
    /// The first spelling that ends here.
    ending: u32,
}

impl Spelling {
    /// Whether the symbols that matched stand on the right bounds.
    fn fits(&self, gaps: &[Gap], stream: &Stream, start: usize) -> bool {
        let symbols = &stream.symbols;
        let end = start + gaps.len();
        let next = symbols.get(end);
        let last_latin = is_latin(symbols[end - 1].code);
        let cut = next.is_none_or(|next| next.bound > Bound::Inside);
        let ended = match self.end {
            End::Open => true,
            End::Syllable if !last_latin => next.is_none_or(|next| next.first),
            End::Syllable | End::Word => cut,
        };
        if !ended {
            return false;
        }
        let loose = self.loose && symbols[start].bound > Bound::Inside;
        for (gap, symbol) in gaps.iter().zip(&symbols[start..end]).skip(1) {
            let fits = match gap {
                Gap::Closed => symbol.bound <= Bound::Soft || loose && symbol.bound < Bound::Turn,
                Gap::May => symbol.bound < Bound::Turn,
                Gap::Must => symbol.bound > Bound::Inside && symbol.bound < Bound::Turn,
            };
            if !fits {
                return false;
            }
        }
        true
    }
}

/// The spellings, while they are being collected.
#[derive(Debug)]
pub(super) struct Builder {
    spellings: Vec<Spelling>,
    gaps: Vec<Gap>,
    /// Where a row of gaps is: most spellings have the same ones.
    known: HashMap<Vec<Gap>, u32>,
    trie: Vec<Sprout>,
    /// A spelling that ends at a node, and the next entry of that node; 0 is none.
    ends: Vec<(u32, u32)>,
}

/// A node of the growing trie; 0 is none.
#[derive(Clone, Copy, Debug, Default)]
struct Sprout {
    code: u8,
    child: u32,
    sibling: u32,
    ends: u32,
}

fn wide(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn index(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            spellings: Vec::new(),
            gaps: Vec::new(),
            known: HashMap::new(),
            trie: vec![Sprout::default(); ROOTS],
            ends: vec![(0, 0)],
        }
    }
}

impl Builder {
    pub(super) fn add(&mut self, pattern: &Pattern) {
        let mut node = index(if pattern.inside { ANYWHERE } else { AT_WORD });
        for &code in &pattern.codes {
            node = self.child(node, code);
        }
        let first = self.known.get(&pattern.gaps).copied().unwrap_or_else(|| {
            let first = wide(self.gaps.len());
            self.gaps.extend(&pattern.gaps);
            self.known.insert(pattern.gaps.clone(), first);
            first
        });
        let id = wide(self.spellings.len());
        self.spellings.push(Spelling {
            gaps: (first, wide(pattern.gaps.len())),
            class: pattern.class,
            loose: pattern.loose,
            end: pattern.end,
        });
        let before = std::mem::replace(&mut self.trie[node].ends, wide(self.ends.len()));
        self.ends.push((id, before));
    }

    /// The node behind this one by this symbol, made if there is none.
    fn child(&mut self, node: usize, code: u8) -> usize {
        let mut at = self.trie[node].child;
        while at != 0 {
            let sprout = self.trie[index(at)];
            if sprout.code == code {
                return index(at);
            }
            at = sprout.sibling;
        }
        let fresh = self.trie.len();
        let sibling = std::mem::replace(&mut self.trie[node].child, wide(fresh));
        self.trie.push(Sprout {
            code,
            sibling,
            ..Sprout::default()
        });
        fresh
    }

    pub(super) fn build(mut self) -> Lexicon {
        self.gaps.shrink_to_fit();
        let all = self.trie.len();
        let mut it = Lexicon {
            near: Vec::new(),
            nodes: Vec::with_capacity(all + 1),
            codes: Vec::with_capacity(all),
            spellings: Vec::with_capacity(self.spellings.len()),
            gaps: self.gaps,
        };
        // Where in the trie the node of a number is.
        let mut order = Vec::with_capacity(all);
        order.extend(0..wide(ROOTS));
        while let Some(&at) = order.get(it.nodes.len()) {
            let sprout = self.trie[index(at)];
            it.codes.push(sprout.code);
            it.nodes.push(Node {
                next: wide(order.len()),
                ending: wide(it.spellings.len()),
            });
            let mut child = sprout.child;
            while child != 0 {
                order.push(child);
                child = self.trie[index(child)].sibling;
            }
            let from = it.spellings.len();
            let mut end = sprout.ends;
            while end != 0 {
                let (id, before) = self.ends[index(end)];
                it.spellings.push(self.spellings[index(id)]);
                end = before;
            }
            it.spellings[from..].reverse();
        }
        // Behind the last one: where its runs end.
        it.nodes.push(Node {
            next: wide(order.len()),
            ending: wide(it.spellings.len()),
        });
        for node in 0..it.nodes.get(ROOTS).map_or(0, |first| first.next) {
            let mut row = [0; ALPHABET];
            for to in it.behind(node) {
                row[usize::from(it.codes[index(to)])] = to;
            }
            it.near.push(row);
        }
        it
    }
}

impl Lexicon {
    /// The nodes behind a node.
    fn behind(&self, node: u32) -> Range<u32> {
        self.nodes[index(node)].next..self.nodes[index(node) + 1].next
    }

    /// The spellings that end at a node.
    fn ending(&self, node: u32) -> &[Spelling] {
        let (from, to) = (
            self.nodes[index(node)].ending,
            self.nodes[index(node) + 1].ending,
        );
        &self.spellings[index(from)..index(to)]
    }

    /// The node behind this one by this symbol; 0 is none.
    fn step(&self, node: u32, code: u8) -> u32 {
        if let Some(row) = self.near.get(index(node)) {
            return row[usize::from(code)];
        }
        let behind = self.behind(node);
        let codes = &self.codes[index(behind.start)..index(behind.end)];
        let nth = codes.iter().position(|other| *other == code);
        nth.map_or(0, |nth| behind.start + wide(nth))
    }

    /// Every word in the text, ordered by where it ends.
    pub(super) fn find(&self, stream: &Stream) -> Vec<Hit> {
        let mut hits = Vec::new();
        for (start, symbol) in stream.symbols.iter().enumerate() {
            if symbol.first {
                if symbol.bound > Bound::Inside {
                    self.follow(AT_WORD, stream, start, &mut hits);
                }
                self.follow(ANYWHERE, stream, start, &mut hits);
            }
        }
        // Of those that end together the longest is first.
        hits.sort_by_key(|hit| (hit.end, hit.start));
        hits
    }

    /// The words behind a root that begin at `start`.
    fn follow(&self, root: u32, stream: &Stream, start: usize, hits: &mut Vec<Hit>) {
        let mut node = root;
        for (symbol, end) in stream.symbols[start..].iter().zip(start + 1..) {
            node = self.step(node, symbol.code);
            if node == 0 {
                return;
            }
            for spelling in self.ending(node) {
                let (first, count) = spelling.gaps;
                let gaps = &self.gaps[index(first)..index(first + count)];
                if spelling.fits(gaps, stream, start) {
                    hits.push(Hit {
                        class: spelling.class,
                        start,
                        end,
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
