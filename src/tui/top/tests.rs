//! Pictures of `deepme top`, and what its keys and the server's answers do.

use super::sections::{NOTHING, WIDE};
use super::*;
use proptest::prelude::*;
use ratatui::backend::TestBackend;
use ratatui::style::{Color, Modifier};

const EVERY: Duration = Duration::from_secs(1);

/// 2026-11-27T12:00:00Z
const NOW: Timestamp = Timestamp::from_micros(1_795_780_800_000_000);

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn top() -> Top {
    Top::new("http://127.0.0.1:9464/metrics".to_owned(), EVERY)
}

/// A page as a server tells it that has done `n` of everything.
fn page(n: u32, extra: &str) -> Exposition {
    let (tens, sevens) = (n * 10, n * 7);
    let page = format!(
        "# TYPE deepme_build_info gauge\ndeepme_build_info{{version=\"0.1.0\",schema=\"7\"}} 1\n\
         # TYPE deepme_turns_running gauge\ndeepme_turns_running 3\n\
         # TYPE deepme_turns_places gauge\ndeepme_turns_places 1000\n\
         # TYPE deepme_turns_started_total counter\ndeepme_turns_started_total {tens}\n\
         # TYPE deepme_turns_ended_total counter\n\
         deepme_turns_ended_total{{status=\"complete\"}} {n}\ndeepme_turns_ended_total{{status=\"cancelled\"}} 1\n\
         deepme_turns_ended_total{{status=\"interrupted\"}} 0\ndeepme_turns_ended_total{{status=\"failed\"}} {n}\n\
         # TYPE deepme_turns_refused_total counter\n\
         # TYPE deepme_first_token_seconds histogram\n\
         deepme_first_token_seconds_bucket{{le=\"0.5\"}} {n}\ndeepme_first_token_seconds_bucket{{le=\"1\"}} {tens}\n\
         deepme_first_token_seconds_bucket{{le=\"+Inf\"}} {tens}\n\
         deepme_first_token_seconds_sum {sevens}\ndeepme_first_token_seconds_count {tens}\n\
         # TYPE deepme_turn_seconds histogram\n\
         deepme_turn_seconds_bucket{{le=\"120\"}} 0\ndeepme_turn_seconds_bucket{{le=\"+Inf\"}} 0\n\
         deepme_turn_seconds_sum 0\ndeepme_turn_seconds_count 0\n\
         # TYPE deepme_between_tokens_seconds histogram\n\
         deepme_between_tokens_seconds_bucket{{le=\"0.05\"}} {n}\ndeepme_between_tokens_seconds_bucket{{le=\"+Inf\"}} {n}\n\
         deepme_between_tokens_seconds_sum 0.{n}\ndeepme_between_tokens_seconds_count {n}\n\
         # TYPE deepme_answer_bytes_total counter\ndeepme_answer_bytes_total {n}00\n\
         # TYPE deepme_tokens_total counter\n\
         deepme_tokens_total{{direction=\"in\"}} {n}000\ndeepme_tokens_total{{direction=\"out\"}} {tens}\n\
         # TYPE deepme_safety_turns_total counter\n\
         deepme_safety_turns_total{{tier=\"none\"}} {tens}\ndeepme_safety_turns_total{{tier=\"low\"}} 0\n\
         deepme_safety_turns_total{{tier=\"elevated\"}} 0\ndeepme_safety_turns_total{{tier=\"imminent\"}} {n}\n\
         # TYPE deepme_passwords_hashing gauge\ndeepme_passwords_hashing 0\n\
         # TYPE deepme_sockets_open gauge\ndeepme_sockets_open 12\n\
         # TYPE deepme_sockets_closed_total counter\ndeepme_sockets_closed_total{{code=\"gone\"}} {n}\n\
         # TYPE deepme_http_requests_total counter\n\
         deepme_http_requests_total{{route=\"/login\",status=\"2xx\"}} {tens}\n\
         deepme_http_requests_total{{route=\"other\",status=\"4xx\"}} {n}\n\
         # TYPE deepme_model_breaker gauge\n\
         deepme_model_breaker{{model=\"openai\",place=\"1\",state=\"closed\"}} 0\n\
         deepme_model_breaker{{model=\"openai\",place=\"1\",state=\"open\"}} 1\n\
         deepme_model_breaker{{model=\"openai\",place=\"1\",state=\"half_open\"}} 0\n\
         deepme_model_breaker{{model=\"builtin\",place=\"2\",state=\"closed\"}} 1\n\
         # TYPE deepme_model_answers_total counter\n\
         deepme_model_answers_total{{model=\"openai\",place=\"1\"}} {n}\n\
         deepme_model_answers_total{{model=\"builtin\",place=\"2\"}} 4\n\
         # TYPE deepme_model_failures_total counter\n\
         deepme_model_failures_total{{model=\"openai\",place=\"1\",fault=\"busy\"}} 2\n\
         deepme_model_failures_total{{model=\"openai\",place=\"1\",fault=\"stalled\"}} {n}\n\
         # TYPE deepme_store_waiting gauge\ndeepme_store_waiting 2\n\
         {extra}\
         # TYPE process_start_time_seconds gauge\nprocess_start_time_seconds 1795769280.5\n\
         # TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes 64000000\n\
         # TYPE process_open_fds gauge\nprocess_open_fds 34\n\
         # TYPE process_max_fds gauge\nprocess_max_fds 65536\n"
    );
    Exposition::parse(&page).unwrap()
}

const EMBEDDED: &str = "# TYPE deepme_store_commits_total counter\ndeepme_store_commits_total 100\n\
                        # TYPE deepme_store_writes_total counter\ndeepme_store_writes_total 120\n\
                        # TYPE deepme_backup_time_seconds gauge\ndeepme_backup_time_seconds 1795748400\n";
const CONNECTED: &str = "# TYPE deepme_store_connections gauge\n\
                         deepme_store_connections{state=\"idle\"} 3\ndeepme_store_connections{state=\"busy\"} 1\n";

/// Read twice, two seconds apart.
fn busy(extra: &str) -> Top {
    let mut top = top();
    top.heard(at(0), NOW, Ok(page(10, extra)));
    top.heard(at(2), NOW, Ok(page(20, extra)));
    top
}

fn down() -> ClientError {
    ClientError::Network("Connection refused (os error 111)".to_owned())
}

fn painted(top: &Top, width: u16, height: u16) -> ratatui::buffer::Buffer {
    let mut terminal = ratatui::Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view::view(top, frame)).unwrap();
    terminal.backend().buffer().clone()
}

fn picture(top: &Top, width: u16, height: u16) -> String {
    let buffer = painted(top, width, height);
    let row = |y| {
        (0..width)
            .map(|x| buffer[(x, y)].symbol())
            .collect::<String>()
    };
    let rows = (0..height).map(|y| row(y).trim_end().to_owned());
    rows.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_busy_server_in_80_columns() {
    insta::assert_snapshot!(picture(&busy(EMBEDDED), 80, 24));
}

#[test]
fn a_busy_server_in_120_columns() {
    insta::assert_snapshot!(picture(&busy(CONNECTED), 120, 40));
}

#[test]
fn a_busy_server_in_a_window_that_is_too_small() {
    insta::assert_snapshot!(picture(&busy(EMBEDDED), 40, 12));
}

#[test]
fn the_first_reading_has_no_rates() {
    let mut top = top();
    top.heard(at(0), NOW, Ok(page(10, EMBEDDED)));
    insta::assert_snapshot!(picture(&top, 80, 24));
}

#[test]
fn before_the_first_reading() {
    insta::assert_snapshot!(picture(&top(), 80, 24));
}

#[test]
fn a_server_that_is_down() {
    let mut top = busy(EMBEDDED);
    top.heard(at(3), NOW, Err(down()));
    top.heard(at(75), NOW, Err(down()));
    insta::assert_snapshot!(picture(&top, 80, 24));
}

#[test]
fn as_plain_text() {
    insta::assert_snapshot!(plain::text(&busy(EMBEDDED)));
}

#[test]
fn as_json() {
    insta::assert_json_snapshot!(busy(EMBEDDED).figures);
}

#[test]
fn a_server_that_comes_back_is_shown_again_and_a_new_process_has_no_old_rates() {
    let mut top = busy("");
    top.heard(at(3), NOW, Err(down()));
    assert_eq!(
        top.figures,
        Figures::default(),
        "nothing is shown as if it held"
    );
    top.heard(at(4), NOW, Ok(page(24, "")));
    assert!(top.trouble.is_none());
    assert_eq!(
        top.figures.turns.started.per_second,
        Some(20.0),
        "over two seconds"
    );
    let young = "process_start_time_seconds 1795769280.5";
    let restarted = Exposition::parse(&format!(
        "# TYPE deepme_turns_started_total counter\ndeepme_turns_started_total 1\n{}\n",
        young.replace(".5", ".6")
    ));
    top.heard(at(5), NOW, Ok(restarted.unwrap()));
    let started = top.figures.turns.started;
    assert_eq!((started.per_second, started.total), (None, Some(1.0)));
    assert_eq!(
        top.figures.turns.running, None,
        "what is not told is not there"
    );
}

#[test]
fn a_clock_that_is_behind_the_server_makes_no_time_up() {
    let mut top = top();
    top.heard(at(0), Timestamp::from_micros(0), Ok(page(1, "")));
    assert_eq!(top.figures.uptime_seconds, None);
    assert!(picture(&top, 80, 24).contains(&format!("up {NOTHING}")));
}

#[test]
fn keys_quit_and_pause() {
    let key = |code, modifiers| KeyEvent::new(code, modifiers);
    for (code, modifiers) in [
        (KeyCode::Char('q'), KeyModifiers::NONE),
        (KeyCode::Char('ㅂ'), KeyModifiers::NONE),
        (KeyCode::Esc, KeyModifiers::NONE),
        (KeyCode::Char('c'), KeyModifiers::CONTROL),
    ] {
        let mut top = top();
        top.key(key(code, modifiers));
        assert!(top.quit, "{code:?}");
    }
    let mut top = busy("");
    top.key(key(KeyCode::Char('c'), KeyModifiers::NONE));
    top.key(key(KeyCode::Char('p'), KeyModifiers::NONE));
    assert!(top.paused && !top.quit);
    assert!(picture(&top, 80, 24).contains("paused"));
    top.key(key(KeyCode::Char('p'), KeyModifiers::NONE));
    assert!(!top.paused);
}

#[test]
fn what_needs_a_look_is_bold_and_of_a_colour_of_the_terminal() {
    let mut top = busy(EMBEDDED);
    let buffer = painted(&top, 80, 24);
    let found = |text: &str| {
        let picture = picture(&top, 80, 24);
        let (y, line) = picture
            .lines()
            .enumerate()
            .find(|(_, line)| line.contains(text))
            .unwrap();
        let x = line[..line.find(text).unwrap()].chars().count();
        buffer[(u16::try_from(x).unwrap(), u16::try_from(y).unwrap())].style()
    };
    for (text, colour) in [
        ("failed ", Some(Color::Red)),
        ("imminent", Some(Color::Red)),
        ("1 openai", Some(Color::Red)),
        ("calls of the store", Some(Color::Yellow)),
        ("complete", None),
        ("2 builtin", None),
    ] {
        let style = found(text);
        assert_eq!(style.fg.filter(|c| *c != Color::Reset), colour, "{text}");
        assert_eq!(
            style.add_modifier.contains(Modifier::BOLD),
            colour.is_some(),
            "{text}"
        );
    }
    top.colours = false;
    let plain = painted(&top, 80, 24);
    for (cell, before) in plain.content.iter().zip(&buffer.content) {
        assert_eq!(cell.fg, Color::Reset);
        assert_eq!(cell.modifier, before.modifier);
    }
    let cells = buffer.content.iter();
    assert!(
        cells.clone().all(|cell| cell.bg == Color::Reset),
        "any background will do"
    );
}

proptest! {
    #[test]
    fn no_size_is_too_small(width in 0u16..170, height in 0u16..50) {
        let top = busy(EMBEDDED);
        let picture = picture(&top, width.max(1), height.max(1));
        if usize::from(width) >= WIDE && height > 6 {
            // A row is shown as a whole, or said to be missing.
            let all = picture.contains("imminent") && picture.contains("tokens written");
            prop_assert!(all || picture.contains("rows more"), "{}", picture);
        }
    }
}
