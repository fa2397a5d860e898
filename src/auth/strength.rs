//! How hard a password is to guess.
//!
//! Owns [`judge`] and the list of passwords that nobody may have. Called by [`super::password`], off the
//! runtime's workers. Pure. Invariants: what it says never quotes the password; its time is bounded,
//! whatever the password is.
//!
//! `common.txt` has the 5,000 commonest passwords of 10 or more ASCII characters, in lower case, the commonest
//! first. They are from the 100,000 commonest of Have I Been Pwned, as the United Kingdom's National Cyber
//! Security Centre published them. Many are of machines, and look as if nobody could guess them.

use crate::domain::user::Email;
use unicode_normalization::UnicodeNormalization as _;
use zxcvbn::zxcvbn;

/// Passwords that are refused as they are, in whichever case.
const COMMON: &str = include_str!("common.txt");

/// Characters that are judged; what follows can only make a password better. The estimate takes time in the
/// square of them: at worst 0.1 s for these, more than a second for a hundred.
const JUDGED: usize = 32;

/// The guesses that are good enough, as a power of ten. The estimate's own "good" begins at 8, which any three
/// pieces reach, a word, a row of digits and a mark for instance; ten random characters have 10.
const ENOUGH: f64 = 9.0;

/// What people here choose first, in Hangul or on an English keyboard; the estimate knows English only.
const KNOWN: &[&str] = &[
    "가나다라마바사",
    "가나다라마바사아자차카타파하",
    "감사합니다",
    "고맙습니다",
    "관리자",
    "대한민국",
    "동해물과백두산이",
    "딥미",
    "반갑습니다",
    "비밀번호",
    "사랑합니다",
    "사랑해",
    "사랑해요",
    "안녕",
    "안녕하세요",
    "암호",
    "우리나라",
    "테스트",
    "파이팅",
    "패스워드",
    "행복하세요",
    "행복해",
    "화이팅",
    "deepme",
    "korea",
];

/// Why a password will not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weakness {
    /// Everybody tries it first.
    Common,
    /// It is guessed by who knows the person's name or address.
    Personal,
    /// It takes too few guesses.
    Guessable,
}

impl Weakness {
    /// The same for the person, who has just typed it.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Common => "is one of the passwords that are tried first: choose another one",
            Self::Personal => "is too easy to guess from your name or e-mail address",
            Self::Guessable => {
                "is too easy to guess: take several words that have nothing to do with each other"
            }
        }
    }
}

/// What others may know of a person: the name, the address, and their parts.
pub fn about(name: Option<&str>, email: Option<&Email>) -> Vec<String> {
    let texts = [name, email.map(Email::as_str)];
    let mut words: Vec<String> = texts.into_iter().flatten().flat_map(parts).collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// A text and what it is made of, each as it is and as it comes out of an English keyboard.
fn parts(text: &str) -> Vec<String> {
    let text = text.nfc().collect::<String>().to_lowercase();
    let local = text.split('@').next().unwrap_or_default();
    let joined: String = local.chars().filter(|c| c.is_alphanumeric()).collect();
    let words = text.split(|c: char| !c.is_alphanumeric());
    let mut parts: Vec<String> = words.map(str::to_owned).collect();
    parts.extend([local.to_owned(), joined, text]);
    let typed: Vec<String> = parts.iter().map(|part| typed(part)).collect();
    parts.extend(typed);
    parts.retain(|part| part.chars().count() > 1);
    parts
}

/// Why this password will not do for a person of whom this is known; `None` when it will.
pub fn judge(password: &str, about: &[String]) -> Option<Weakness> {
    let password: String = password.nfc().collect();
    let lower = password.to_lowercase();
    if COMMON.lines().any(|common| common == lower) {
        return Some(Weakness::Common);
    }
    let known: Vec<String> = KNOWN.iter().map(|word| typed(word)).collect();
    let words: Vec<&str> = about
        .iter()
        .chain(&known)
        .map(String::as_str)
        .chain(KNOWN.iter().copied())
        .collect();
    let is_weak = |password: &str| {
        let judged: String = password.chars().take(JUDGED).collect();
        zxcvbn(&judged, &words).guesses_log10() < ENOUGH
    };
    let rest = without(&lower, about);
    if rest != lower && is_weak(&rest) {
        return Some(Weakness::Personal);
    }
    is_weak(&password).then_some(Weakness::Guessable)
}

/// What is left of a password for who knows these words.
fn without(password: &str, words: &[String]) -> String {
    let long = |word: &&String| word.chars().count() > if word.is_ascii() { 2 } else { 1 };
    let mut words: Vec<&String> = words.iter().filter(long).collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let left = |rest: String, word: &&String| rest.replace(word.as_str(), "");
    words.iter().fold(password.to_owned(), left)
}

/// The keys of an English keyboard for the parts of a Hangul syllable, as they lie on the usual Korean one.
const FIRST: [&str; 19] = [
    "r", "r", "s", "e", "e", "f", "a", "q", "q", "t", "t", "d", "w", "w", "c", "z", "x", "v", "g",
];
const MIDDLE: [&str; 21] = [
    "k", "o", "i", "o", "j", "p", "u", "p", "h", "hk", "ho", "hl", "y", "n", "nj", "np", "nl", "b",
    "m", "ml", "l",
];
const LAST: [&str; 28] = [
    "", "r", "r", "rt", "s", "sw", "sg", "e", "f", "fr", "fa", "fq", "ft", "fx", "fv", "fg", "a",
    "q", "qt", "t", "t", "d", "w", "c", "z", "x", "v", "g",
];

/// What comes of typing Hangul with the keyboard switched to English, in lower case.
fn typed(text: &str) -> String {
    let mut keys = String::new();
    for c in text.chars() {
        let syllable = (c as usize).wrapping_sub('가' as usize);
        if syllable < FIRST.len() * MIDDLE.len() * LAST.len() {
            let (upper, last) = (syllable / LAST.len(), syllable % LAST.len());
            let (first, middle) = (upper / MIDDLE.len(), upper % MIDDLE.len());
            keys.extend([FIRST[first], MIDDLE[middle], LAST[last]]);
        } else {
            keys.push(c);
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jiwoo() -> Vec<String> {
        let email = Email::parse("jiwoo.kim@example.com").unwrap();
        about(Some("김 지우"), Some(&email))
    }

    /// The list is refused as it is; that the estimate would let many of it through is why it is there.
    #[test]
    fn security_13_the_commonest_passwords_are_refused() {
        assert_eq!(COMMON.lines().count(), 5000);
        for common in COMMON.lines() {
            assert!(common.len() >= 10 && common.is_ascii(), "{common}");
            assert_eq!(common, common.to_lowercase());
        }
        for n in (0..5000).step_by(50) {
            let common = COMMON.lines().nth(n).unwrap();
            for spelling in [common.to_owned(), common.to_uppercase()] {
                let judged = judge(&spelling, &[]);
                assert_eq!(judged, Some(Weakness::Common), "{spelling}");
            }
        }
    }

    #[test]
    fn security_13_what_is_made_of_them_is_refused_too() {
        for weak in [
            "Password1234!",
            "P@ssw0rd1234",
            "qwertyuiop!",
            "qazwsxedcrfv!!",
            "aaaaaaaaaaaaaaa",
            "abcdefghijklmnop",
            "Summer2024!",
            "deepme12345",
            "korea2002!!",
            "korea12345!",
            "sunshine1234!",
            "another password",
            "ㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋㅋ",
            "안녕하세요안녕하세요",
            "비밀번호123456",
            "사랑해요1234!!",
            "가나다라마바사아자차",
            "dkssudgktpdy1",
            "qlalfqjsgh123",
            "QLALFQJSGH123!",
            "비밀번호비밀번호비밀번호",
        ] {
            assert_eq!(judge(weak, &[]), Some(Weakness::Guessable), "{weak}");
        }
    }

    #[test]
    fn security_13_a_name_or_an_address_is_no_password() {
        let about = jiwoo();
        for weak in [
            "jiwoo.kim@example.com",
            "JiwooKim2024",
            "jiwookim12345",
            "kimjiwoo123!",
            "example.com123",
            "김지우김지우1234",
            "wldnwldn1234",
        ] {
            assert_eq!(judge(weak, &about), Some(Weakness::Personal), "{weak}");
        }
        assert_eq!(judge("jiwoo.kim@example.com", &[]), None, "somebody else's");
    }

    #[test]
    fn security_13_ordinary_passphrases_are_passwords() {
        let about = jiwoo();
        for good in [
            "correct horse battery",
            "purple monkey dishwasher",
            "sunflower tomato lamp",
            "my dog has 3 legs",
            "tea and rain today",
            "오늘은 날씨가 좋네요",
            "고양이 두마리와 산책",
            "커피는 아침에 두 잔",
            "나는 매일 걷는다 12",
            "비가 오면 파전에 막걸리",
            "우리집강아지는복슬강아지",
            "rksmsgkdlzld whgdk",
            "jiwoo likes tea and rain",
            "vK7#pq2LmZ",
            "👩‍👩‍👧 우리 셋이 삽니다",
        ] {
            assert_eq!(judge(good, &about), None, "{good}");
        }
    }

    /// What is decomposed, as some keyboards send it, is no longer for that.
    #[test]
    fn hangul_is_judged_as_it_is_read() {
        let decomposed: String = "비밀번호123456".nfd().collect();
        assert!(judge(&decomposed, &[]).is_some());
        assert_eq!(
            typed("안녕하세요 비밀번호, 뷁!"),
            "dkssudgktpdy qlalfqjsgh, qnpfr!"
        );
    }

    /// The longest one of what takes longest; a tenth of a second with optimisation.
    #[test]
    fn no_password_takes_long() {
        let ambiguous: String = "@4({[<3691!|70$5+7%2zxqj"
            .chars()
            .cycle()
            .take(128)
            .collect();
        let begun = std::time::Instant::now();
        judge(&ambiguous, &jiwoo());
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    }
}
