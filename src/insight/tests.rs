//! What must hold of the engine and its weights without any outside data.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::features::{self, READ};
use super::model::{Fault, LABELS, Model, OUTPUTS, UNSURE, Weights, valence};
use super::{embedded, read};
use crate::domain::emotion::{Emotion, Language, Reading};

const KO: &[u8] = include_bytes!("ko.bin");
const EN: &[u8] = include_bytes!("en.bin");

#[test]
fn the_weights_are_whole_and_small() {
    assert!(KO.len() + EN.len() <= 4 << 20);
    assert_eq!(KO[5] as usize, OUTPUTS);
    for (bytes, language) in [(KO, Language::Korean), (EN, Language::English)] {
        assert!(embedded(language).is_some());
        let pieces = u32::from_le_bytes(*bytes[8..].first_chunk().unwrap());
        assert!(pieces > 10_000);
    }
}

#[test]
fn bytes_that_are_not_whole_are_refused() {
    let fault = |bytes: &[u8]| Model::from_bytes(bytes.to_vec()).unwrap_err();
    for place in [10_000, EN.len() - 1] {
        let mut flipped = EN.to_vec();
        flipped[place] ^= 1;
        assert_eq!(fault(&flipped), Fault::Checksum, "{place}");
    }
    assert_eq!(fault(&EN[..EN.len() - 1]), Fault::Length);
    assert_eq!(fault(b""), Fault::Length);
    let mut newer = EN.to_vec();
    newer[4] += 1;
    assert_eq!(fault(&newer), Fault::Format);
    let mut longer = EN.to_vec();
    longer[8..12].fill(0xff);
    assert_eq!(fault(&longer), Fault::Length);
    let twice = Weights {
        keys: vec![7, 7],
        rows: vec![[1; OUTPUTS]; 2],
        ..Weights::default()
    };
    assert_eq!(fault(&twice.to_bytes()), Fault::Content);
    let endless = Weights {
        bias: [f32::NAN; OUTPUTS],
        ..Weights::default()
    };
    assert_eq!(fault(&endless.to_bytes()), Fault::Content);
}

/// Weights are made for these keys: whoever changes the features trains again.
#[test]
fn the_features_are_those_of_the_weights() {
    let sum = |text: &str| {
        let keys = features::keys(text);
        let once: BTreeSet<u32> = keys.iter().copied().collect();
        assert_eq!(once.len(), keys.len());
        once.iter().fold(0u64, |sum, key| {
            sum.wrapping_mul(31).wrapping_add(u64::from(*key))
        })
    };
    assert_eq!(sum("오늘은 정말 힘들었어ㅠㅠ"), 4_689_834_164_316_994_825);
    assert_eq!(sum("I don't know what to do..."), 1_403_369_437_218_231_378);
}

#[test]
fn spelling_that_means_the_same_reads_the_same() {
    for (a, b) in [
        // Composed and decomposed Hangul.
        ("슬퍼", "\u{1109}\u{1173}\u{11af}\u{1111}\u{1165}"),
        ("I Am SAD", "i am sad"),
        ("너무  힘들어\n", " 너무 힘들어"),
        ("힘들어ㅠㅠㅠㅠㅠㅠㅠ", "힘들어ㅠㅠ"),
        ("I’m 25", "i'm 31"),
    ] {
        assert_eq!(features::keys(a), features::keys(b), "{a}");
        assert_eq!(read(a, None), read(b, None), "{a}");
    }
}

#[test]
fn any_text_gives_a_reading_within_its_ranges() {
    let long = "너무 힘들어요 ".repeat(20_000);
    let texts = [
        "",
        " \n",
        "\0\u{7}",
        "?",
        "👍🏽",
        "ありがとう",
        "ㅋ",
        "a",
        "안녕 hello 你好",
        &long,
        "\u{301}\u{301}\u{301}",
        "ﷺ",
    ];
    for text in texts {
        for language in [None, Some(Language::Korean), Some(Language::English)] {
            let reading = read(text, language);
            assert_eq!(reading, read(text, language));
            assert!((-2..=2).contains(&reading.valence));
            assert!(reading.confidence <= 100);
            assert_eq!(reading.unsure, reading.confidence < UNSURE);
            assert_ne!(reading.second, Some(reading.first));
        }
    }
    assert_eq!(read("", None), Reading::UNKNOWN);
    assert_eq!(read(" \n\t", None), Reading::UNKNOWN);
    // An alternation does not collapse as a drawn-out letter does.
    let head = "가나".repeat(READ / 2);
    let keys = features::keys(&head);
    assert_eq!(features::keys(&format!("{head}다라")), keys);
}

#[test]
fn outputs_stand_in_the_order_of_the_labels() {
    for (place, emotion) in Emotion::ALL.into_iter().enumerate() {
        let mut bias = [0.0; OUTPUTS];
        bias[place] = 9.0;
        let keys = vec![features::keys("x")[0]];
        let weights = Weights {
            extra: [1.0, 0.0],
            bias,
            scale: [0.0; OUTPUTS],
            keys,
            rows: vec![[0; OUTPUTS]],
        };
        let reading = Model::new(&weights).unwrap().read("x");
        assert_eq!((reading.first, reading.second), (emotion, None));
        assert_eq!(reading.valence.signum(), emotion.valence().signum());
        assert!(!reading.unsure);
    }
}

#[test]
fn the_valence_has_its_sign_first() {
    let none = [0.0; LABELS];
    assert_eq!(valence(&none, &[0.3, 0.1, 0.35, 0.25, 0.0]), -2);
    assert_eq!(valence(&none, &[0.1, 0.3, 0.35, 0.0, 0.25]), -1);
    assert_eq!(valence(&none, &[0.2, 0.2, 0.6, 0.0, 0.0]), 0);
    assert_eq!(valence(&none, &[0.0, 0.0, 0.4, 0.5, 0.1]), 1);
    let mut joy = none;
    joy[Emotion::Joy as usize] = 0.9;
    assert_eq!(valence(&joy, &[0.0, 0.0, 0.8, 0.1, 0.1]), 1);
}

#[test]
fn plain_words_are_understood() {
    use Emotion::{Angry, Anxious, Bored, Confused, Even, Joy, Lonely, Moved, Sad, Shame, Tired};
    for (text, first, sign) in [
        ("오늘 기분이 너무 좋아요", Joy, 1),
        ("엄마한테 정말 고마워요", Moved, 1),
        ("하루 종일 심심하네요", Bored, -1),
        ("요즘 너무 피곤해요", Tired, -1),
        ("점심 메뉴 추천해줘", Even, 0),
        ("친구가 없어서 외로워요", Lonely, -1),
        ("내가 너무 부끄러워요", Shame, -1),
        ("헤어져서 너무 슬퍼요", Sad, -1),
        ("내일 시험이라 불안해요", Anxious, -1),
        ("진짜 짜증나고 화가 나요", Angry, -1),
        ("I'm so happy today", Joy, 1),
        ("thank you so much, I love you", Moved, 1),
        ("I'm so lonely, I have no friends", Lonely, -1),
        ("I'm exhausted and I just want to sleep", Tired, -1),
        ("I'm worried about the exam tomorrow", Anxious, -1),
        ("she lied to me and I am so angry", Angry, -1),
        ("I don't know what to do, I'm confused", Confused, 0),
    ] {
        let reading = read(text, None);
        assert_eq!(reading.first, first, "{text}: {reading:?}");
        if sign != 0 {
            assert_eq!(reading.valence.signum(), sign, "{text}: {reading:?}");
        }
    }
}

#[test]
fn a_language_that_is_named_wins_over_the_script() {
    let text = "I'm so happy 나";
    assert_eq!(read(text, None), read(text, Language::Korean));
    assert_ne!(read(text, Language::English), read(text, Language::Korean));
}

/// Some microseconds in a release build (`docs/emotion.md`); here without optimisation and beside
/// other tests, so the bound only catches time that grows with the text.
#[test]
fn time_is_bounded_whatever_the_length() {
    let endless = "지금 뭐라고 해야 할지 하나도 모르겠어요, ".repeat(50_000);
    read(&endless, None);
    let fastest = (0..20).map(|_| {
        let start = Instant::now();
        read(&endless, None);
        start.elapsed()
    });
    assert!(fastest.min().unwrap() < Duration::from_millis(50));
}
