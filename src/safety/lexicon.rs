//! The words of the rule pack, and finding all of them in one pass (Aho and Corasick, 1975).

use std::collections::{BTreeMap, VecDeque};

use super::normalise::{ALPHABET, Bound, Stream, is_latin};

/// One spelling of a word class.
///
/// How it is written in the pack: `(a|b|)` are alternatives, a space in Hangul may be there or not
/// and between Latin words must be there, `_` is a space that may be there in Latin too. In front:
/// `~` may begin inside a word, `%` may hold spaces anywhere (evasion). At the end: `+` may go on
/// inside the syllable or the Latin word, `$` must be the end of the word.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    pub(super) class: u16,
    pub(super) codes: Vec<u8>,
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

    /// Whether the symbols that matched stand on the right bounds.
    fn fits(&self, stream: &Stream, start: usize) -> bool {
        let symbols = &stream.symbols;
        let end = start + self.codes.len();
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
        for (gap, symbol) in self.gaps.iter().zip(&symbols[start..end]).skip(1) {
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

/// The automaton over every pattern. Edges are sorted runs, so it stays small.
#[derive(Debug)]
pub(super) struct Lexicon {
    patterns: Vec<Pattern>,
    root: [u32; ALPHABET],
    nodes: Vec<Node>,
    edges: Vec<(u8, u32)>,
    outs: Vec<u32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Node {
    edges: (u32, u32),
    outs: (u32, u32),
    fail: u32,
    /// The nearest node on the failure path that ends a pattern; 0 is none.
    link: u32,
}

fn wide(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn index(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

impl Lexicon {
    pub(super) fn new(patterns: Vec<Pattern>) -> Self {
        let mut trie: Vec<(BTreeMap<u8, u32>, Vec<u32>)> = vec![Default::default()];
        for (id, pattern) in patterns.iter().enumerate() {
            let mut node = 0;
            for &code in &pattern.codes {
                let fresh = wide(trie.len());
                let next = *trie[node].0.entry(code).or_insert(fresh);
                if next == fresh {
                    trie.push(Default::default());
                }
                node = index(next);
            }
            trie[node].1.push(wide(id));
        }
        let mut it = Self {
            patterns,
            root: [0; ALPHABET],
            nodes: vec![Node::default(); trie.len()],
            edges: Vec::with_capacity(trie.len()),
            outs: Vec::new(),
        };
        for (node, (next, ends)) in trie.iter().enumerate() {
            let (edge, out) = (wide(it.edges.len()), wide(it.outs.len()));
            it.edges.extend(next.iter().map(|(&code, &to)| (code, to)));
            it.outs.extend(ends);
            it.nodes[node].edges = (edge, wide(it.edges.len()));
            it.nodes[node].outs = (out, wide(it.outs.len()));
        }
        for (&code, &to) in &trie[0].0 {
            it.root[usize::from(code)] = to;
        }
        let mut queue: VecDeque<u32> = trie[0].0.values().copied().collect();
        while let Some(node) = queue.pop_front() {
            for (&code, &to) in &trie[index(node)].0 {
                let fail = it.step(it.nodes[index(node)].fail, code);
                let there = it.nodes[index(fail)];
                let link = if there.outs.0 < there.outs.1 {
                    fail
                } else {
                    there.link
                };
                it.nodes[index(to)].fail = fail;
                it.nodes[index(to)].link = link;
                queue.push_back(to);
            }
        }
        it
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
                    let pattern = &self.patterns[index(id)];
                    let start = i + 1 - pattern.codes.len();
                    if pattern.fits(stream, start) {
                        hits.push(Hit {
                            class: pattern.class,
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
