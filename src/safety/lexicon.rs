//! The words of the rule pack, and finding all of them in one pass (Aho and Corasick, 1975).

use std::collections::VecDeque;

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// The automaton over every spelling. There are hundreds of thousands of nodes, so what is kept of one is small:
/// edges, ends and gaps are runs in one list each.
#[derive(Debug)]
pub(super) struct Lexicon {
    spellings: Vec<Spelling>,
    gaps: Vec<Gap>,
    root: [u32; ALPHABET],
    nodes: Vec<Node>,
    edges: Vec<(u8, u32)>,
    outs: Vec<u32>,
}

/// What is kept of a [`Pattern`] whose symbols are in the automaton.
#[derive(Clone, Copy, Debug)]
struct Spelling {
    /// Where its gaps are.
    gaps: (u32, u32),
    class: u16,
    inside: bool,
    loose: bool,
    end: End,
}

#[derive(Clone, Copy, Debug, Default)]
struct Node {
    edges: (u32, u32),
    outs: (u32, u32),
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
        let first = wide(self.gaps.len());
        self.gaps.extend(&pattern.gaps);
        let id = wide(self.spellings.len());
        self.spellings.push(Spelling {
            gaps: (first, wide(self.gaps.len())),
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
        let mut it = Lexicon {
            root: [0; ALPHABET],
            nodes: vec![Node::default(); self.trie.len()],
            edges: Vec::with_capacity(self.trie.len()),
            outs: Vec::with_capacity(self.spellings.len()),
            spellings: self.spellings,
            gaps: self.gaps,
        };
        for (node, sprout) in self.trie.iter().enumerate() {
            let (edge, out) = (wide(it.edges.len()), wide(it.outs.len()));
            let mut child = sprout.child;
            while child != 0 {
                it.edges.push((self.trie[index(child)].code, child));
                child = self.trie[index(child)].sibling;
            }
            let mut end = sprout.ends;
            while end != 0 {
                let (id, before) = self.ends[index(end)];
                it.outs.push(id);
                end = before;
            }
            it.outs[index(out)..].reverse();
            it.nodes[node].edges = (edge, wide(it.edges.len()));
            it.nodes[node].outs = (out, wide(it.outs.len()));
        }
        it.find_failures();
        it
    }
}

impl Lexicon {
    /// For each node the longest other one that its symbols end in, nodes nearer to the root first.
    fn find_failures(&mut self) {
        let edges_of = |it: &Self, node: u32| {
            let (from, to) = it.nodes[index(node)].edges;
            index(from)..index(to)
        };
        let mut queue = VecDeque::new();
        for edge in edges_of(self, 0) {
            let (code, to) = self.edges[edge];
            self.root[usize::from(code)] = to;
            queue.push_back(to);
        }
        while let Some(node) = queue.pop_front() {
            for edge in edges_of(self, node) {
                let (code, to) = self.edges[edge];
                let fail = self.step(self.nodes[index(node)].fail, code);
                let there = self.nodes[index(fail)];
                let link = if there.outs.0 < there.outs.1 {
                    fail
                } else {
                    there.link
                };
                self.nodes[index(to)].fail = fail;
                self.nodes[index(to)].link = link;
                queue.push_back(to);
            }
        }
    }

    fn step(&self, mut node: u32, code: u8) -> u32 {
        loop {
            if node == 0 {
                return self.root[usize::from(code)];
            }
            let at = self.nodes[index(node)];
            let edges = &self.edges[index(at.edges.0)..index(at.edges.1)];
            if let Some(&(_, to)) = edges.iter().find(|edge| edge.0 == code) {
                return to;
            }
            node = at.fail;
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
                let outs = self.nodes[index(at)].outs;
                for &id in &self.outs[index(outs.0)..index(outs.1)] {
                    let spelling = &self.spellings[index(id)];
                    let gaps = &self.gaps[index(spelling.gaps.0)..index(spelling.gaps.1)];
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
