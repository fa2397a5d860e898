//! What the listener keeps to whatever it is told. Owns no code; run by `cargo test`.

use super::phrase::{Slots, fill, with_particle};
use super::{en, ko, pieces, reply, text};

const SEEDS: &[&str] = &[
    "응",
    "ㅠㅠ",
    "ㅋㅋ",
    "죽고 싶어",
    "너무 힘들어",
    "안녕",
    "너 누구야?",
    "날씨 어때?",
    "그냥",
    "...",
    "엄마가 미워",
    "ok",
    "sad",
    "I want to die",
    "hello",
    "😭",
    "😀",
    "why?",
    "Что делать?",
    "?",
    "",
    "오늘 회사에서 있었던 일을 적어 본다",
    "친구가 우울해해요",
    "그만 물어봐",
    "욕 나온다 시발",
    "1234",
    "ㅁㄴㅇㄹ",
    "시험 망했어",
    "합격했어!!",
    "고마워",
    "잘자",
    "너 봇이지",
    "똑같은 말만 하네",
    "어떡하지",
];

fn talk(lines: &[&str]) -> Vec<String> {
    let mut answers: Vec<String> = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let earlier: Vec<(&str, &str)> = lines[..i]
            .iter()
            .copied()
            .zip(answers.iter().map(String::as_str))
            .collect();
        answers.push(reply(&earlier, line));
    }
    answers
}

fn questions(answer: &str) -> usize {
    answer.chars().filter(|c| matches!(c, '?' | '？')).count()
}

fn disclosures(answers: &[String]) -> usize {
    let lines = [&*ko::PHRASES, &*en::PHRASES]
        .into_iter()
        .flat_map(|phrases| {
            super::compose::DISCLOSURES
                .iter()
                .flat_map(|pool| phrases.get(pool).iter().copied())
        });
    lines
        .map(|line| {
            answers
                .iter()
                .filter(|answer| answer.contains(line))
                .count()
        })
        .sum()
}

/// A small generator: the same numbers on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

fn read_kind(words: &str) -> Option<&'static str> {
    if words.chars().any(text::is_hangul) {
        ko::read(words).kind
    } else {
        en::read(words).kind
    }
}

#[test]
fn identical_words_go_on_for_sixty_turns_without_a_repeated_answer() {
    for words in SEEDS {
        let answers = talk(&vec![*words; 64]);
        for (i, answer) in answers.iter().enumerate() {
            assert!(!answer.trim().is_empty(), "{words}: empty");
            assert!(
                !answers[..i].contains(answer),
                "{words}, turn {i}: {answer}"
            );
            assert!(questions(answer) <= 1, "{words}, turn {i}: {answer}");
        }
        assert_eq!(disclosures(&answers), 1, "{words}");
    }
}

#[test]
fn sentences_do_not_repeat_while_the_pools_last() {
    for words in [
        "응",
        "ㅠㅠ",
        "너무 힘들어",
        "그냥 그런 하루",
        "ㅋㅋ",
        "I am so sad",
        "ok then",
    ] {
        let answers = talk(&vec![words; 40]);
        let mut heard = std::collections::BTreeSet::new();
        for answer in &answers {
            for sentence in answer.split_inclusive(['.', '?', '!']).map(str::trim) {
                assert!(heard.insert(sentence.to_owned()), "{words}: {sentence}");
            }
        }
    }
}

#[test]
fn mixed_sessions_disclose_once_and_ask_once() {
    let mut dice = Dice(7);
    for _ in 0..60 {
        let lines: Vec<&str> = (0..30).map(|_| SEEDS[dice.roll(SEEDS.len())]).collect();
        let answers = talk(&lines);
        assert_eq!(disclosures(&answers), 1);
        assert!(super::compose::DISCLOSURES.len() == 3 && disclosures(&answers[..1]) == 1);
        for (i, answer) in answers.iter().enumerate() {
            assert!(questions(answer) <= 1, "{answer}");
            assert!(!answers[..i].contains(answer), "{lines:?}: {answer}");
        }
        assert_eq!(answers, talk(&lines), "the same words, the same answers");
    }
}

#[test]
fn no_sentence_stands_in_two_lines_and_none_asks_why_or_twice() {
    for phrases in [&*ko::PHRASES, &*en::PHRASES] {
        let mut heard = std::collections::BTreeMap::new();
        for (pool, line) in phrases.iter() {
            assert!(questions(line) <= 1 && !line.contains("왜 "), "{line}");
            assert!(!line.to_lowercase().contains("why"), "{line}");
            assert_eq!(
                questions(line) == 1,
                pool.strip_suffix(".ask").is_some() && line != "-",
                "{pool}: {line}"
            );
            let sentences = line.split_inclusive(['.', '?', '!']).map(str::trim);
            for sentence in sentences.filter(|s| *s != "-") {
                let before = heard.insert(sentence, pool);
                assert!(before.is_none(), "{sentence} in {pool} and {before:?}");
            }
        }
        for kind in super::read::FEELINGS
            .iter()
            .filter(|k| !matches!(**k, "idle" | "flutter"))
        {
            assert!(!phrases.get(&format!("{kind}.say")).is_empty(), "{kind}");
        }
    }
    let pools = |phrases: &super::phrase::Phrases| {
        phrases
            .iter()
            .map(|(pool, _)| pool)
            .collect::<std::collections::BTreeSet<_>>()
    };
    let (korean, english) = (pools(&ko::PHRASES), pools(&en::PHRASES));
    let only_english: Vec<_> = english.difference(&korean).collect();
    assert_eq!(only_english, [&"foreign.ask", &"foreign.say"]);
    assert_eq!(korean.difference(&english).count(), 0);
}

#[test]
fn particles_follow_the_last_sound() {
    for (noun, particle, want) in [
        ("엄마", "이", Some("엄마가")),
        ("팀장님", "이", Some("팀장님이")),
        ("회사", "은", Some("회사는")),
        ("시험", "은", Some("시험은")),
        ("학교", "을", Some("학교를")),
        ("면접", "을", Some("면접을")),
        ("친구", "과", Some("친구와")),
        ("동생", "과", Some("동생과")),
        ("서울", "으로", Some("서울로")),
        ("집", "으로", Some("집으로")),
        ("학교", "으로", Some("학교로")),
        ("말", "이라", Some("말이라")),
        ("노아", "이라", Some("노아라")),
        ("친구", "에게", Some("친구에게")),
        ("2024", "이", None),
        ("iPhone", "을", None),
        ("카톡3", "은", None),
        ("ㅋ", "이", None),
        ("", "이", None),
        ("집", "부터나", None),
    ] {
        assert_eq!(
            with_particle(noun, particle).as_deref(),
            want,
            "{noun} {particle}"
        );
    }
    let slots = Slots {
        noun: Some("MBTI"),
        quote: None,
    };
    assert_eq!(fill("{은} 어때요", slots), None);
    assert_eq!(fill("{} 이야기", slots).as_deref(), Some("MBTI 이야기"));
    assert_eq!(fill("‘{q}’", slots), None);
}

#[test]
fn a_denied_feeling_is_not_given_back_as_there() {
    for words in [
        "안 슬퍼",
        "슬프지 않아",
        "우울하진 않아요",
        "우울한 건 아니야",
        "외롭지는 않아",
        "불안한 건 아니에요",
        "화난 거 아니야",
        "걱정 없어요",
        "별로 안 힘들어",
        "i'm not sad",
        "I am not really angry",
        "i don't feel lonely",
        "not anxious at all",
        "I'm no longer depressed",
        "never lonely",
    ] {
        assert_eq!(read_kind(words), Some("not_bad"), "{words}");
    }
    for words in [
        "안 행복해",
        "기쁘지 않아",
        "행복하지도 않아",
        "i'm not happy",
        "not excited",
    ] {
        assert_eq!(read_kind(words), Some("not_good"), "{words}");
    }
    for words in [
        "안 힘든 척하는 것도 지쳐요",
        "안 슬픈데 눈물이 나",
        "not sad just nervous, really worried",
    ] {
        assert!(
            !matches!(read_kind(words), Some("not_bad" | "not_good")),
            "{words}"
        );
    }
}

#[test]
fn a_feeling_of_someone_else_is_not_given_back_as_ones_own() {
    for words in [
        "친구가 우울해해요",
        "친구가 우울하대",
        "엄마가 많이 힘들어하세요",
        "동생이 외로워해",
        "남편이 불안해해요",
        "언니가 너무 슬퍼해",
        "친구가 우울해요",
        "my friend is sad",
        "my mum feels so lonely",
        "he is really depressed",
        "she's anxious",
        "my brother seems very tired",
    ] {
        assert_eq!(read_kind(words), Some("other_bad"), "{words}");
    }
    assert_eq!(read_kind("친구가 합격했대"), Some("other_good"));
    for (words, kind) in [
        ("엄마가 미워", "angry"),
        ("친구가 보고 싶어", "miss"),
        ("친구가 없어서 외로워", "lonely"),
        ("자식이 셋인데 전화 한 통이 없네요", "lonely"),
        ("엄마가 아파서 내가 슬퍼", "sad"),
        ("아빠가 돌아가셨어", "grief"),
        ("친구가 없어서 우울해", "sad"),
        ("my boyfriend hit me", "abuse"),
        ("my dog died", "grief"),
        ("my mom makes me sad", "sad"),
    ] {
        assert_eq!(read_kind(words), Some(kind), "{words}");
    }
}

#[test]
fn the_past_is_not_given_back_as_now() {
    for words in [
        "예전에 많이 우울했어",
        "그때 너무 힘들었어",
        "어릴 때 외로웠어요",
        "작년엔 불안했어요",
        "슬펐어",
        "i was sad",
        "I used to be so anxious",
        "i felt lonely back then",
        "years ago i was depressed",
    ] {
        assert_eq!(read_kind(words), Some("past_bad"), "{words}");
    }
    for words in ["그때 진짜 행복했었는데", "너무 좋았어", "i was so happy"] {
        assert_eq!(read_kind(words), Some("past_good"), "{words}");
    }
    for (words, kind) in [
        ("지쳤어", "tired"),
        ("화났어", "angry"),
        ("시험 망쳤어", "frustrated"),
    ] {
        assert_eq!(read_kind(words), Some(kind), "{words}");
    }
}

#[test]
fn words_about_dying_are_never_missed_and_never_cheered() {
    for words in [
        "죽고 싶어",
        "죽고싶다ㅋㅋ",
        "그냥 사라지고 싶어",
        "자살 생각이 나요",
        "손목을 그었어",
        "살기 싫다",
        "이제 그만 살고 싶어요",
        "눈 뜨지 않았으면 좋겠어",
        "죽.고.싶.다",
        "죽\u{200b}고 싶어",
        "나 오늘 합격했는데 죽고 싶어",
        "뛰어내리고 싶다",
        "내가 없어지면 다들 편하겠지",
        "안 아프게 죽는 법 알려줘",
        "엄마 때문에 죽고 싶어",
        "질문하지 마 그냥 죽고 싶어",
        "\u{110c}\u{116e}\u{11a8}\u{1100}\u{1169} \u{1109}\u{1175}\u{11c1}\u{110b}\u{1165}",
    ] {
        let answer = reply(&[], words);
        assert!(answer.contains("109"), "{words}: {answer}");
        assert!(!answer.contains('!'), "{words}: {answer}");
    }
    for words in [
        "I want to die",
        "i wanna kill myself lol",
        "kms",
        "thinking about suicide",
        "i cut myself again",
        "dont want to be here anymore",
        "better off without me",
        "my friend wants to kill herself",
        "I don't want to live",
        "no reason to live",
        "so happy i could end it all",
    ] {
        let answer = reply(&[], words);
        assert!(
            answer.contains("988") && answer.contains("emergency"),
            "{words}: {answer}"
        );
    }
    for words in [
        "배고파 죽겠다",
        "웃겨 죽겠어",
        "졸려 죽겠네",
        "주말이 사라졌어",
        "유서 깊은 절에 갔어",
        "스타트업에 투자해볼까?",
        "미안해 죽겠네",
        "dying to see you",
        "cut myself shaving",
    ] {
        let answer = reply(&[], words);
        assert!(
            !answer.contains("109") && !answer.contains("988"),
            "{words}: {answer}"
        );
    }
    for words in [
        "자해했어",
        "엄마 몰래 자해했어",
        "엄마가 때려서 죽고 싶어",
        "엄마가 때려 죽고 싶어",
        "친구 때문에 죽고 싶다고 했잖아",
        "남편이 미워서 살기 싫어",
        "친구가 없어 죽고 싶다",
        "동생한테 죽고 싶다고 말했어 내가",
    ] {
        let answer = reply(&[], words);
        assert!(
            !answer.contains("그분") && !answer.contains("곁에 있는 분이"),
            "{words}: {answer}"
        );
        assert!(answer.contains("109"), "{words}: {answer}");
    }
    for words in [
        "친구가 죽고 싶대",
        "엄마가 죽고 싶다고 하셔",
        "동생이 자해했어",
        "친구가 죽고 싶어해요",
    ] {
        let others: Vec<_> = ko::PHRASES.get("crisis_other.ask").to_vec();
        let answer = reply(&[], words);
        assert!(
            others.iter().any(|ask| answer.contains(ask)),
            "{words}: {answer}"
        );
    }
    let answers = talk(&["죽고 싶어", "아니", "ㅋㅋ", "자러갈게"]);
    assert!(
        answers
            .iter()
            .all(|answer| answer.contains("109") || answer.contains("119")),
        "{answers:#?}"
    );
    assert!(talk(&["힘들어 죽겠어", "응"])[1].contains("109"));
}

#[test]
fn asked_for_silence_it_asks_nothing_until_told_otherwise() {
    let answers = talk(&[
        "질문하지 말고 그냥 들어줘",
        "너무 힘들어",
        "회사가 싫어",
        "응",
        "말 좀 해봐",
    ]);
    assert!(
        answers[..4].iter().all(|answer| questions(answer) == 0),
        "{answers:#?}"
    );
    assert_eq!(questions(&answers[4]), 1);
}

#[test]
fn the_language_follows_the_words() {
    assert!(reply(&[], "나 sad 해").chars().any(text::is_hangul));
    assert!(!reply(&[], "so sad").chars().any(text::is_hangul));
    assert!(reply(&[], "悲しい").contains("Korean and English"));
    assert!(reply(&[("안녕", "네")], "ok").chars().any(text::is_hangul));
}

#[test]
fn pieces_join_back_and_split_no_cluster() {
    for words in SEEDS {
        let answer = reply(&[], words);
        assert_eq!(pieces(&answer).concat(), answer);
        assert!(pieces(&answer).len() > 2);
    }
    for odd in [
        "",
        " ",
        "a",
        "  a  b ",
        "e\u{301} \u{301}x",
        "👩\u{200d}👩\u{200d}👧 가족",
        "\r\n a",
        "\u{600} 1",
    ] {
        assert_eq!(pieces(odd).concat(), odd);
        assert!(pieces(odd).iter().all(|piece| !piece.is_empty()));
        assert!(
            !pieces(odd)
                .iter()
                .any(|piece| piece.starts_with(['\u{301}', '\u{200d}']))
        );
    }
}

#[test]
fn nothing_it_is_told_can_break_it() {
    let alphabet: Vec<char> = "가힣ㅠㅋㄱㅏ\u{1100}\u{1161}\u{11a8}👩\u{200d}❤️\u{0}\u{7}\n\t .?!？‘’{}[]\"aZ0é\u{301}\u{202e}漢я죽고싶안않"
        .chars()
        .collect();
    let mut dice = Dice(42);
    let mut history: Vec<(String, String)> = Vec::new();
    for round in 0..1500 {
        let words: String = (0..dice.roll(40))
            .map(|_| alphabet[dice.roll(alphabet.len())])
            .collect();
        if round % 25 == 0 {
            history.clear();
        }
        let earlier: Vec<(&str, &str)> = history
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        let answer = reply(&earlier, &words);
        assert!(
            !answer.is_empty() && questions(&answer) <= 1,
            "{words:?}: {answer}"
        );
        assert_eq!(pieces(&answer).concat(), answer);
        history.push((words, answer));
    }
    for unit in [
        "가나 ",
        "ㅠ",
        "👩\u{200d}👩",
        "\u{0}",
        "a b?",
        "죽고싶어",
        "\u{1161}",
    ] {
        let long = unit.repeat(64 * 1024 / unit.len());
        let answer = reply(&[], &long);
        assert!(!answer.is_empty() && questions(&answer) <= 1);
    }
}
