//! What must hold of finding words, whatever the pack.

use super::*;

/// What the lexicon finds is what trying every spelling at every place finds.
#[test]
fn every_spelling_is_found_wherever_it_fits() {
    let written = [
        "죽고",
        "죽고 싶",
        "죽고 싶+",
        "~고",
        "~고 싶",
        "%자살",
        "자살",
        "자살$",
        "~살",
        "살",
        "ㅗ",
        "~ㅗ",
        "주",
        "die",
        "die$",
        "~die+",
        "kill my self",
        "kill_myself",
        "kill",
        "self",
    ];
    let patterns: Vec<Pattern> = (0..)
        .zip(written)
        .map(|(class, text)| Pattern::read(class, text).unwrap())
        .collect();
    let mut builder = Builder::default();
    for pattern in &patterns {
        builder.add(pattern);
    }
    let lexicon = builder.build();
    let parts = [
        "죽", "고", "싶어", "자", "살", "주", "ㅗ", "die", "d", "kill", "my", "self", "s", " ",
        " ", ", ", "-", "여", ".",
    ];
    let mut state = 7;
    let mut found = 0;
    for _ in 0..2_000 {
        let mut text = String::new();
        for _ in 0..9 {
            state = u64::from(crate::linear::hash(state, ['a']));
            text.push_str(parts[usize::try_from(state % parts.len() as u64).unwrap()]);
        }
        let (stream, _) = Stream::of_turns(text.split('.'));
        let got = lexicon.find(&stream);
        assert!(got.is_sorted_by_key(|hit| (hit.end, hit.start)), "{text}");
        let mut got: Vec<_> = got
            .iter()
            .map(|hit| (hit.class, hit.start, hit.end))
            .collect();
        let mut expected: Vec<_> = patterns
            .iter()
            .flat_map(|pattern| everywhere(pattern, &stream))
            .collect();
        got.sort_unstable();
        expected.sort_unstable();
        assert_eq!(got, expected, "{text}");
        found += got.len();
    }
    assert!(found > 4_000, "{found}");
}

/// Where a spelling fits: class, start and end.
fn everywhere(pattern: &Pattern, stream: &Stream) -> Vec<(u16, usize, usize)> {
    let spelling = Spelling {
        gaps: (0, 0),
        class: pattern.class,
        loose: pattern.loose,
        end: pattern.end,
    };
    let length = pattern.codes.len();
    let windows = stream.symbols.windows(length).enumerate();
    let fits = windows.filter(|(start, symbols)| {
        let head = symbols[0];
        let codes = symbols.iter().map(|symbol| symbol.code);
        head.first
            && (pattern.inside || head.bound > Bound::Inside)
            && codes.eq(pattern.codes.iter().copied())
            && spelling.fits(&pattern.gaps, stream, *start)
    });
    fits.map(|(start, _)| (pattern.class, start, start + length))
        .collect()
}

#[test]
fn a_spelling_has_a_longest_length() {
    assert!(Pattern::read(0, &"kill".repeat(16)).is_some());
    assert!(Pattern::read(0, &"kill".repeat(17)).is_none());
}
