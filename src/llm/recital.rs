//! Whether an answer recites the instructions it was given.
//!
//! Owns [`Instructions`], an index over the server's own prompt, and [`Guard`], one reader's place in it.
//! Called by the turn for every piece of an answer. Pure. Invariants: what is recited word for word is cut,
//! however the answer is split into pieces, spaced, punctuated or capitalised; what is not is passed on whole
//! and in order; a piece that shares no long run with the instructions is not held back.
//!
//! The index is a suffix automaton (Blumer et al., 1985): it tells for every letter, in constant time, how much
//! of the end of the answer stands somewhere in the instructions. A paraphrase, a translation or a cipher is
//! beyond it; those are up to the prompt.

/// A run that is a recital. A Hangul syllable weighs [`WIDE`], other letters and digits one: thirty syllables,
/// or sixty letters, about a sentence.
const RECITAL: u32 = 60;
/// A run from which on its letters are held back until it is clear what they are.
const SUSPECT: u32 = 24;
/// Bytes that are held back at most: letters of a run are fewer, more is what stands between them.
const HELD: usize = 512;
/// What a letter weighs of a script that writes a syllable or a word with one.
const WIDE: u32 = 2;

/// What counts of a text: its letters and digits, small.
fn letters(text: &str) -> impl Iterator<Item = char> {
    text.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
}

/// What of a prompt may not be recited: all but the paragraphs that name a number to call, which are what
/// somebody in danger is to be told.
pub fn secret(prompt: &str) -> String {
    let lines = prompt.lines().filter(|line| !names_a_number(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether there are three digits in a row: 109, 119, 988.
fn names_a_number(line: &str) -> bool {
    let digits: Vec<bool> = line.bytes().map(|b| b.is_ascii_digit()).collect();
    digits.windows(3).any(|three| three == [true; 3])
}

const fn weight(letter: char) -> u32 {
    if (letter as u32) < 0x1100 { 1 } else { WIDE }
}

/// A state: the ends of runs that continue in the same ways.
#[derive(Debug, Default, Clone)]
struct State {
    /// Letters of the longest run that leads here.
    longest: usize,
    /// The state of the longest end of it that continues in more ways.
    shorter: usize,
    /// What may follow, by ascending letter.
    next: Vec<(char, usize)>,
}

impl State {
    fn follow(&self, letter: char) -> Option<usize> {
        let place = self
            .next
            .binary_search_by_key(&letter, |(letter, _)| *letter);
        place
            .ok()
            .and_then(|place| self.next.get(place))
            .map(|(_, to)| *to)
    }

    fn lead(&mut self, letter: char, to: usize) {
        match self
            .next
            .binary_search_by_key(&letter, |(letter, _)| *letter)
        {
            Ok(place) => {
                if let Some(entry) = self.next.get_mut(place) {
                    entry.1 = to;
                }
            }
            Err(place) => self.next.insert(place, (letter, to)),
        }
    }
}

/// Instructions that may not be recited.
#[derive(Debug)]
pub struct Instructions {
    states: Vec<State>,
}

impl Instructions {
    /// An index over a text, at most two states a letter.
    pub fn of(text: &str) -> Self {
        let mut index = Self {
            states: vec![State::default()],
        };
        let mut last = 0;
        for letter in letters(text) {
            last = index.extend(last, letter);
        }
        index
    }

    fn at(&self, state: usize) -> &State {
        // Every state that is named is there.
        &self.states[state]
    }

    /// Adds a letter at the end; the state of the whole text.
    fn extend(&mut self, last: usize, letter: char) -> usize {
        let new = self.states.len();
        self.states.push(State {
            longest: self.at(last).longest + 1,
            ..State::default()
        });
        let mut from = Some(last);
        while let Some(state) = from.filter(|state| self.at(*state).follow(letter).is_none()) {
            self.states[state].lead(letter, new);
            from = (state != 0).then(|| self.at(state).shorter);
        }
        let Some(state) = from else { return new };
        let met = self.at(state).follow(letter).unwrap_or(0);
        if self.at(met).longest == self.at(state).longest + 1 {
            self.states[new].shorter = met;
            return new;
        }
        // The runs that end here in more ways than the longer ones get a state of their own.
        let split = self.states.len();
        let mut copy = self.at(met).clone();
        copy.longest = self.at(state).longest + 1;
        self.states.push(copy);
        let mut from = Some(state);
        while let Some(state) = from.filter(|state| self.at(*state).follow(letter) == Some(met)) {
            self.states[state].lead(letter, split);
            from = (state != 0).then(|| self.at(state).shorter);
        }
        self.states[met].shorter = split;
        self.states[new].shorter = split;
        new
    }
}

/// What becomes of a piece of an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Passed {
    /// This may be said now; empty while it is not clear yet.
    Say(String),
    /// This may be said, and then the answer recites the instructions: nothing more of it may be said.
    Recital(String),
}

/// One answer on its way past the instructions.
#[derive(Debug)]
pub struct Guard<'a> {
    instructions: &'a Instructions,
    state: usize,
    /// Letters of the end of the answer that stand in the instructions, and what they weigh, each.
    run: std::collections::VecDeque<u32>,
    weight: u32,
    held: String,
}

impl<'a> Guard<'a> {
    /// Before the answer.
    pub fn new(instructions: &'a Instructions) -> Self {
        Self {
            instructions,
            state: 0,
            run: std::collections::VecDeque::new(),
            weight: 0,
            held: String::new(),
        }
    }

    /// The next piece of the answer.
    pub fn pass(&mut self, piece: &str) -> Passed {
        let mut say = String::new();
        for c in piece.chars() {
            self.held.push(c);
            if c.is_alphanumeric() {
                c.to_lowercase().for_each(|letter| self.read(letter));
                if self.weight >= RECITAL {
                    return Passed::Recital(say);
                }
            }
            if self.weight < SUSPECT || self.held.len() > HELD {
                say.push_str(&self.held);
                self.held.clear();
            }
        }
        Passed::Say(say)
    }

    /// What was held back, when the answer has ended without reciting.
    pub fn rest(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// How much of the end of the answer stands in the instructions, with this letter.
    fn read(&mut self, letter: char) {
        let index = self.instructions;
        let next = loop {
            let state = index.at(self.state);
            if let Some(next) = state.follow(letter) {
                break Some(next);
            }
            if self.state == 0 {
                break None;
            }
            self.state = state.shorter;
            self.shorten(index.at(self.state).longest);
        };
        if let Some(next) = next {
            self.state = next;
            self.run.push_back(weight(letter));
            self.weight += weight(letter);
        } else {
            self.shorten(0);
        }
    }

    fn shorten(&mut self, letters: usize) {
        while self.run.len() > letters {
            self.weight -= self.run.pop_front().unwrap_or(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KOREAN: &str = include_str!("../../prompts/system.ko.md");
    const ENGLISH: &str = include_str!("../../prompts/system.en.md");

    /// What is said of an answer in these pieces, and whether it was cut.
    fn said(instructions: &str, pieces: &[&str]) -> (String, bool) {
        let index = Instructions::of(&secret(instructions));
        let mut guard = Guard::new(&index);
        let mut said = String::new();
        for piece in pieces {
            match guard.pass(piece) {
                Passed::Say(text) => said.push_str(&text),
                Passed::Recital(text) => return (said + &text, true),
            }
        }
        (said + &guard.rest(), false)
    }

    /// The heaviest run of letters that both texts have, looked for in the plainest way.
    fn heaviest(instructions: &str, answer: &str) -> u32 {
        let (there, here): (Vec<char>, Vec<char>) =
            (letters(instructions).collect(), letters(answer).collect());
        let mut heaviest = 0;
        for begin in 0..here.len() {
            for end in begin + 1..=here.len() {
                let run = &here[begin..end];
                if !there.windows(run.len()).any(|window| window == run) {
                    break;
                }
                heaviest = heaviest.max(run.iter().map(|letter| weight(*letter)).sum());
            }
        }
        heaviest
    }

    #[test]
    fn security_31_a_recital_is_cut_within_a_sentence_however_it_is_dressed() {
        for prompt in [KOREAN, ENGLISH] {
            let spaced: String = prompt.chars().flat_map(|c| [c, ' ']).collect();
            let dressed = [
                prompt.to_owned(),
                prompt.to_uppercase(),
                prompt.replace([' ', '\n', '.', ','], "*"),
                prompt.replace('\n', "\n> - "),
                spaced,
                prompt.chars().skip(500).collect(),
            ];
            for recital in dressed {
                let answer = format!("네, 제 지침은 이래요: {recital}");
                let (told, cut) = said(prompt, &[&answer]);
                assert!(cut);
                // No more of it was said than makes one suspicious.
                let leaked = letters(&told).count() - letters("네, 제 지침은 이래요").count();
                assert!(leaked <= SUSPECT as usize, "{told}");
            }
        }
    }

    #[test]
    fn security_31_what_only_sounds_alike_is_said_whole_and_at_once() {
        for answer in [
            "많이 지치셨겠어요. 어떤 하루였는지 조금 더 들려주실래요?",
            "지금 안전한가요? 자살예방 상담전화 109에 언제든 전화할 수 있어요. 당장 위험하면 119나 112예요.",
            "I am an AI, not a human. It is fine to stay without a question. I hear how tired you are.",
            "한국이라면 자살예방 상담전화 109, 당장 위험하면 119나 112, 다른 나라라면 그곳의 긴급 전화로 꼭 연락해 주세요.",
            "Please call the suicide prevention line 109, and 119 or 112 for immediate danger; elsewhere, the local emergency number (988 in the US).",
            "저는 AI예요. 제 지침은 보여 드릴 수 없지만, 지금 이야기는 계속 듣고 있어요.",
        ] {
            for prompt in [KOREAN, ENGLISH] {
                let pieces: Vec<&str> = answer.split_inclusive(' ').collect();
                assert_eq!(said(prompt, &pieces), (answer.to_owned(), false));
            }
        }
    }

    #[test]
    fn what_was_held_back_is_said_when_it_turns_out_harmless() {
        let beginning: String = ENGLISH.chars().take(40).collect();
        let index = Instructions::of(&secret(ENGLISH));
        let mut guard = Guard::new(&index);
        let Passed::Say(first) = guard.pass(&beginning) else {
            panic!("not yet a recital");
        };
        assert!(first.len() < beginning.len());
        let Passed::Say(second) = guard.pass(" zebra") else {
            panic!("no recital");
        };
        assert_eq!(
            first + &second + &guard.rest(),
            format!("{beginning} zebra")
        );
    }

    #[test]
    fn instructions_without_a_letter_guard_nothing() {
        assert_eq!(
            said("", &["아무 말", "이나"]),
            ("아무 말이나".to_owned(), false)
        );
        assert_eq!(said(" .\n", &["x"]), ("x".to_owned(), false));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

        /// Against the plainest way to find a common run, over few letters, so that there are many.
        #[test]
        fn a_run_is_found_exactly_when_it_is_there_and_the_rest_passes_unchanged(
            prompt in "[ab가 ]{0,200}",
            parts in prop::collection::vec(("[ab가.]{0,20}", 0usize..200, 0usize..80), 0..5),
        ) {
            let all: Vec<char> = prompt.chars().collect();
            let mut pieces: Vec<String> = Vec::new();
            for (own, from, length) in &parts {
                pieces.push(own.clone());
                pieces.push(all.iter().skip(*from).take(*length).collect());
            }
            let answer = pieces.concat();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let (told, cut) = said(&prompt, &pieces);
            prop_assert_eq!(cut, heaviest(&prompt, &answer) >= RECITAL);
            if cut {
                prop_assert!(answer.starts_with(&told));
                prop_assert!(heaviest(&prompt, &told) < RECITAL);
            } else {
                prop_assert_eq!(told, answer);
            }
        }

        #[test]
        fn how_an_answer_is_split_does_not_matter(cuts in prop::collection::vec(0usize..1000, 0..30)) {
            let answer = format!("그건요. {}", KOREAN.chars().skip(300).take(60).collect::<String>());
            let whole = said(KOREAN, &[&answer]);
            let chars: Vec<char> = answer.chars().collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (chars.len() + 1)).collect();
            cuts.extend([0, chars.len()]);
            cuts.sort_unstable();
            let pieces: Vec<String> = cuts.windows(2).map(|pair| chars[pair[0]..pair[1]].iter().collect()).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            prop_assert_eq!(said(KOREAN, &pieces), whole);
        }
    }
}
