//! What the pictures look like, and that no text breaks them.

use super::chart::Chart;
use super::*;
use crate::domain::card::{Card, CardKind};
use crate::domain::emotion::{Emotion, Reading};
use crate::domain::flow::MarkedStep;
use crate::domain::prompt::Language;
use crate::domain::safety::Tier;
use crate::domain::step::Marks;
use crate::domain::{SessionId, StepId, Timestamp, UserId};
use crate::wire::card::{CardBody, QuoteBody};
use crate::wire::insight::{FlowBody, TrendBody};
use crate::wire::ws::{Resource, Safety};
use proptest::prelude::*;
use uuid::Uuid;

const DAY: i64 = 24 * 3600 * 1_000_000;

fn step(session: u32, order: i64, label: Emotion, unsure: bool) -> MarkedStep {
    let reading = Reading {
        first: label,
        second: None,
        valence: label.valence(),
        confidence: 70,
        unsure,
    };
    MarkedStep {
        step_id: StepId(Uuid::from_u128(
            u128::from(session) << 64 | u128::from(order.unsigned_abs()),
        )),
        session_id: SessionId(Uuid::from_u128(session.into())),
        step_order: order,
        created_at: Timestamp::from_micros(1_795_416_374_000_000 + i64::from(session) * DAY),
        marks: Marks::of(&reading, Tier::Elevated),
    }
}

fn conversation() -> FlowBody {
    use Emotion::{Anxious, Calm, Even, Joy, Lonely, Moved, Sad};
    let mut steps: Vec<MarkedStep> = (1..)
        .zip([Sad, Lonely, Sad, Even, Anxious, Sad, Calm, Moved, Joy, Calm])
        .map(|(order, label)| step(1, order, label, order == 4))
        .collect();
    steps[4].marks = Marks::default();
    FlowBody::of(SessionId(Uuid::from_u128(1)), steps, false)
}

#[test]
fn a_conversation() {
    let korean = Chart::of_flow(&conversation(), Language::Korean).draw(Width::Wide);
    insta::assert_snapshot!(korean);
    let shown = include_str!("../../../docs/flow.svg");
    assert!(
        korean == shown,
        "docs/flow.svg, which the README shows, is another picture"
    );
    let english = Chart::of_flow(&conversation(), Language::English).draw(Width::Wide);
    assert!(english.contains(">sad</text>") && english.contains(" (better from here on)"));
    for quiet in ["elevated", "http://", "https://", "<script"] {
        let inside = english.replace("http://www.w3.org/2000/svg", "");
        assert!(!inside.contains(quiet), "{quiet}");
    }
}

#[test]
fn many_conversations() {
    let labels = Emotion::ALL.into_iter().cycle();
    let steps: Vec<MarkedStep> = (1..60)
        .zip(labels)
        .map(|(n, label)| step(n, 1, label, n % 7 == 0))
        .collect();
    let span = (steps[0].created_at, steps[58].created_at);
    let trend = TrendBody::of(UserId(Uuid::nil()), span, &steps, true);
    insta::assert_snapshot!(Chart::of_trend(&trend, Language::English, 0).draw(Width::Wide));
}

/// What is between `before` and the next `"`, wherever it stands.
fn numbers(drawn: &str, before: &str) -> Vec<f64> {
    let found = drawn.split(before).skip(1);
    let number = |rest: &str| rest.split('"').next().unwrap().parse().unwrap();
    found.map(number).collect()
}

#[test]
fn a_conversation_on_a_narrow_screen() {
    let chart = Chart::of_flow(&conversation(), Language::Korean);
    insta::assert_snapshot!(chart.draw(Width::Narrow));
    // The same is told of it as of the wide one.
    let told = |drawn: &str| {
        drawn
            .split("<desc")
            .nth(1)
            .unwrap()
            .split("</desc>")
            .next()
            .map(str::to_owned)
    };
    assert_eq!(
        told(&chart.draw(Width::Narrow)),
        told(&chart.draw(Width::Wide))
    );
}

#[test]
fn many_conversations_on_a_narrow_screen_name_what_there_is_room_for() {
    let steps: Vec<MarkedStep> = (1..)
        .zip(Emotion::ALL.into_iter().cycle().take(900))
        .map(|(n, label)| step(n, 1, label, n % 7 == 0))
        .collect();
    let span = (steps[0].created_at, steps[899].created_at);
    let trend = TrendBody::of(UserId(Uuid::nil()), span, &steps, true);
    let drawn = Chart::of_trend(&trend, Language::English, 0).draw(Width::Narrow);
    let height = numbers(&drawn, "width=\"300\" height=\"")[0];
    assert!(height < 1400.0, "{height}");
    let ticks = drawn.split("<text class=\"quiet end\"").skip(1);
    let ticks: Vec<f64> = ticks.map(|tick| numbers(tick, "y=\"")[0]).collect();
    assert!(ticks.len() > 40);
    assert!(ticks.windows(2).all(|two| two[1] - two[0] >= 18.0));
}

#[test]
fn the_days_of_a_trend_are_those_of_who_looks_at_it() {
    // 2026-11-23 06:46:14 UTC, and a day more.
    let steps = [step(1, 1, Emotion::Calm, false)];
    let span = (steps[0].created_at, steps[0].created_at);
    let trend = TrendBody::of(UserId(Uuid::nil()), span, &steps, false);
    let day = |east| {
        let drawn = Chart::of_trend(&trend, Language::English, east).draw(Width::Wide);
        drawn.split("-desc\">").nth(1).unwrap()[..5].to_owned()
    };
    let utc = steps[0].created_at.to_string();
    assert_eq!(day(0), utc[5..10]);
    let hour: i16 = utc[11..13].parse().unwrap();
    let next = steps[0]
        .created_at
        .plus(std::time::Duration::from_hours(24))
        .to_string();
    assert_eq!(
        day((24 - hour) * 60),
        next[5..10],
        "past midnight, further east"
    );
}

#[test]
fn nothing_and_one_thing() {
    let empty = FlowBody::of(SessionId(Uuid::nil()), Vec::new(), false);
    let drawn = Chart::of_flow(&empty, Language::Korean).draw(Width::Wide);
    assert!(drawn.contains("아직 보여 줄 것이 없어요") && !drawn.contains("<path"));
    let drawn = Chart::of_flow(&empty, Language::Korean).draw(Width::Narrow);
    assert!(drawn.contains("아직 보여 줄 것이 없어요") && !drawn.contains("<path"));
    let one = FlowBody::of(
        SessionId(Uuid::nil()),
        vec![step(1, 1, Emotion::Joy, false)],
        false,
    );
    let drawn = Chart::of_flow(&one, Language::Korean).draw(Width::Wide);
    assert!(
        drawn.contains("cx=\"395.0\"") && drawn.contains("기쁨"),
        "{drawn}"
    );
}

fn a_card() -> CardBody {
    let text = |text: &str| Some(text.to_owned());
    CardBody {
        session_id: SessionId(Uuid::from_u128(1)),
        kind: CardKind::Written,
        title: "말이 안 나온 회의".to_owned(),
        emotions: vec![Emotion::Shame, Emotion::Sad],
        situation: text(
            "오늘 회의에서 준비한 말을 하려는데 갑자기 말이 나오지 않았고, 팀장이 대신 설명했다.",
        ),
        thoughts: text("<b>다들 나를 한심하게 봤을 것 같다</b> & \"그만두고 싶다\""),
        body: text("얼굴이 달아올랐다."),
        behaviour: None,
        needs: text("다음에는 먼저 말해 보고 싶다."),
        coping: text("집까지 걸었다."),
        insight: text("아무도 뭐라고 하지 않았다는 것을 알아차렸다."),
        tags: vec!["회의".to_owned(), "발표".to_owned()],
        quotes: vec![QuoteBody {
            step_id: StepId(Uuid::from_u128(1)),
            offset: 7,
            text: "목이 꽉 막힌 것처럼 말이 안 나왔어".to_owned(),
        }],
        safety: None,
        model: Some("gpt-4o-mini".to_owned()),
        made_at: Timestamp::from_micros(0),
    }
}

#[test]
fn a_card_that_was_written() {
    insta::assert_snapshot!(super::card::draw(&a_card(), Language::Korean));
}

#[test]
fn a_card_for_somebody_who_may_be_in_danger() {
    let resource = |name: &str, contact: &str| Resource {
        name: name.to_owned(),
        contact: contact.to_owned(),
        note: Some("24시간".to_owned()),
    };
    let care = Card::care(Language::Korean);
    let safety = Safety {
        tier: "imminent".to_owned(),
        message: "지금 많이 힘드시군요. 혼자 견디지 않으셔도 돼요. 아래 번호로 지금 바로 이야기할 수 있어요.".to_owned(),
        resources: vec![resource("자살예방 상담전화", "109"), resource("정신건강 위기상담전화", "1577-0199")],
    };
    let id = SessionId(Uuid::from_u128(1));
    let body = CardBody::of(
        id,
        care,
        Vec::new(),
        Timestamp::from_micros(0),
        Some(safety),
    );
    insta::assert_snapshot!(super::card::draw(&body, Language::Korean));
}

proptest! {
    /// Whatever a text holds, it ends no tag and begins none, and says what it said.
    #[test]
    fn no_text_breaks_a_picture(text in any::<String>()) {
        let written = escaped(&text);
        prop_assert!(!written.contains(['<', '>', '"', '\'']));
        let valid = |c: char| !c.is_control() && c != '\u{fffe}' && c != '\u{ffff}';
        prop_assert!(written.chars().all(valid), "{}", written);
        let read = written
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&amp;", "&");
        let kept: String = text
            .chars()
            .map(|c| if matches!(c, '\t' | '\n' | '\r') { ' ' } else { c })
            .filter(|c| !c.is_control() && *c != '\u{fffe}' && *c != '\u{ffff}')
            .collect();
        prop_assert_eq!(read, kept);
    }

    #[test]
    fn every_flow_can_be_drawn(labels in prop::collection::vec((0..15usize, any::<bool>()), 0..300)) {
        let steps = (1..)
            .zip(labels)
            .map(|(order, (label, unsure))| step(1, order, Emotion::ALL[label], unsure))
            .collect();
        let flow = FlowBody::of(SessionId(Uuid::nil()), steps, false);
        for width in [Width::Wide, Width::Narrow] {
            let drawn = Chart::of_flow(&flow, Language::English).draw(width);
            prop_assert!(!drawn.contains("NaN") && !drawn.contains("inf"));
        }
    }
}
