//! The words of the rule pack, and finding all of them in one pass (Aho and Corasick, 1975).

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
        if codes.is_empty() {
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

/// The automaton over every spelling. There are hundreds of thousands of nodes, so what is kept of one is small: they
/// are numbered by their distance from the root, so that those behind a node are a run, which begins where the run of
/// the node before it ends.
#[derive(Debug)]
pub(super) struct Lexicon {
    spellings: Vec<Spelling>,
    gaps: Vec<Gap>,
    root: [u32; ALPHABET],
    nodes: Vec<Node>,
    /// By which symbol a node is entered.
    codes: Vec<u8>,
    outs: Vec<u32>,
}

/// What is kept of a [`Pattern`] whose symbols are in the automaton.
#[derive(Clone, Copy, Debug)]
struct Spelling {
    /// Where its gaps begin, and how many they are.
    gaps: (u32, u32),
    class: u16,
    inside: bool,
    loose: bool,
    end: End,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    /// The first node behind it.
    next: u32,
    /// The first spelling that ends here.
    outs: u32,
    fail: u32,
    /// The nearest node on the failure path that ends a pattern; 0 is none.
    link: u32,
}

impl Spelling {
    /// Whether the symbols that matched stand on the right bounds.
    fn fits(&self, gaps: &[Gap], stream: &Stream, start: usize) -> bool {
        let symbols = &stream.symbols;
        let end = start + gaps.len();
        let head = symbols[start];
        if !head.first {
            return false;
        }
        let at_word = head.bound > Bound::Inside;
        if !at_word && !self.inside {
            return false;
        }
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
        let loose = self.loose && at_word;
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
            trie: vec![Sprout::default()],
            ends: vec![(0, 0)],
        }
    }
}

impl Builder {
    pub(super) fn add(&mut self, pattern: &Pattern) {
        let mut node = 0;
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
            inside: pattern.inside,
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
        self.spellings.shrink_to_fit();
        self.gaps.shrink_to_fit();
        let all = self.trie.len();
        let mut it = Lexicon {
            root: [0; ALPHABET],
            nodes: Vec::with_capacity(all + 1),
            codes: Vec::with_capacity(all),
            outs: Vec::with_capacity(self.spellings.len()),
            spellings: self.spellings,
            gaps: self.gaps,
        };
        // Where in the trie the node of a number is.
        let mut order = Vec::with_capacity(all);
        order.push(0);
        while let Some(&at) = order.get(it.nodes.len()) {
            let sprout = self.trie[index(at)];
            it.codes.push(sprout.code);
            it.nodes.push(Node {
                next: wide(order.len()),
                outs: wide(it.outs.len()),
                fail: 0,
                link: 0,
            });
            let mut child = sprout.child;
            while child != 0 {
                order.push(child);
                child = self.trie[index(child)].sibling;
            }
            let from = it.outs.len();
            let mut end = sprout.ends;
            while end != 0 {
                let (id, before) = self.ends[index(end)];
                it.outs.push(id);
                end = before;
            }
            it.outs[from..].reverse();
        }
        // Behind the last one: where its runs end.
        it.nodes.push(Node {
            next: wide(order.len()),
            outs: wide(it.outs.len()),
            fail: 0,
            link: 0,
        });
        it.find_failures();
        it
    }
}

impl Lexicon {
    /// The nodes behind a node.
    fn behind(&self, node: u32) -> Range<u32> {
        self.nodes[index(node)].next..self.nodes[index(node) + 1].next
    }

    /// The spellings that end at a node.
    fn ending(&self, node: u32) -> &[u32] {
        let (from, to) = (
            self.nodes[index(node)].outs,
            self.nodes[index(node) + 1].outs,
        );
        &self.outs[index(from)..index(to)]
    }

    /// For each node the longest other one that its symbols end in, nodes nearer to the root first.
    fn find_failures(&mut self) {
        for to in self.behind(0) {
            self.root[usize::from(self.codes[index(to)])] = to;
        }
        for node in 1..wide(self.codes.len()) {
            for to in self.behind(node) {
                let fail = self.step(self.nodes[index(node)].fail, self.codes[index(to)]);
                let link = if self.ending(fail).is_empty() {
                    self.nodes[index(fail)].link
                } else {
                    fail
                };
                self.nodes[index(to)].fail = fail;
                self.nodes[index(to)].link = link;
            }
        }
    }

    fn step(&self, mut node: u32, code: u8) -> u32 {
        loop {
            if node == 0 {
                return self.root[usize::from(code)];
            }
            let behind = self.behind(node);
            let codes = &self.codes[index(behind.start)..index(behind.end)];
            if let Some(nth) = codes.iter().position(|other| *other == code) {
                return behind.start + wide(nth);
            }
            node = self.nodes[index(node)].fail;
        }
    }

    /// Every word in the text, ordered by where it ends.
    pub(super) fn find(&self, stream: &Stream) -> Vec<Hit> {
        let mut hits = Vec::new();
        let mut node = 0;
        for (i, symbol) in stream.symbols.iter().enumerate() {
            node = self.step(node, symbol.code);
            let mut at = node;
            while at != 0 {
                for &id in self.ending(at) {
                    let spelling = &self.spellings[index(id)];
                    let (first, count) = spelling.gaps;
                    let gaps = &self.gaps[index(first)..index(first + count)];
                    let start = i + 1 - gaps.len();
                    if spelling.fits(gaps, stream, start) {
                        hits.push(Hit {
                            class: spelling.class,
                            start,
                            end: i + 1,
                        });
                    }
                }
                at = self.nodes[index(at)].link;
            }
        }
        hits
    }
}
