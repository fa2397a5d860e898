//! The page at `/` as it is sent: headers, caching, the switch. What it does in a browser is driven by
//! `tests/page/run`.

use crate::raw::{Answer, Ask};
use crate::support::Server;
use deepme::config::Registration;
use deepme::domain::emotion::Emotion;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const SCRIPTS: [&str; 18] = [
    "page.js",
    "api.js",
    "talk.js",
    "turn.js",
    "log.js",
    "felt.js",
    "look.js",
    "trend.js",
    "sure.js",
    "picture.js",
    "sheet.js",
    "card.js",
    "door.js",
    "drawer.js",
    "box.js",
    "beside.js",
    "words.js",
    "keep.js",
];

async fn get(server: &Server, path: &str) -> Answer {
    Ask::new("GET", path).send(server).await
}

/// What stands between the first `before` and the next `after`.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap();
    rest.split_once(after).unwrap().0
}

/// Where the assets of a page are: `/page/<version>/`.
fn directory(page: &str) -> String {
    format!("/page/{}/", between(page, "href=\"/page/", "/"))
}

/// What the page was told of the server.
fn told(page: &Answer) -> Value {
    serde_json::from_str(between(page.text(), "id=\"server\">", "</script>")).unwrap()
}

#[tokio::test]
async fn security_26_the_page_runs_nothing_but_its_own_files() {
    let server = Server::start().await;
    let page = get(&server, "/").await;
    assert_eq!(page.status, 200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let policy = page.header("content-security-policy").unwrap();
    let rules: BTreeSet<&str> = policy.split(';').map(str::trim).collect();
    let wanted = [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ];
    assert_eq!(rules, BTreeSet::from(wanted));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(
        page.header("cross-origin-opener-policy"),
        Some("same-origin")
    );
    // So that the policy takes nothing away from it: every tag of its own, by what it says.
    let tags = page.text().split('<').filter(|tag| !tag.starts_with("!--"));
    for tag in tags.skip(1) {
        let tag = tag.split('>').next().unwrap();
        assert!(!tag.contains(" style="), "{tag}");
        assert!(
            !tag.split_whitespace().any(|word| word.starts_with("on")),
            "{tag}"
        );
        for address in ["src=\"", "href=\""] {
            if let Some((_, rest)) = tag.split_once(address) {
                assert!(rest.starts_with("/page/"), "{tag}");
            }
        }
        if tag.starts_with("script") {
            assert!(
                tag.contains("src=") || tag.contains("application/json"),
                "{tag}"
            );
        }
        assert!(tag != "style", "{tag}");
    }
}

#[tokio::test]
async fn every_file_of_the_page_is_there_and_kept_by_browsers_until_it_changes() {
    let server = Server::start().await;
    let page = get(&server, "/").await;
    let directory = directory(page.text());
    let kinds = [
        ("page.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ];
    let scripts = SCRIPTS.map(|name| (name, "text/javascript; charset=utf-8"));
    let mut wanted: BTreeSet<String> = ["page.css", "icon.svg", "page.js"]
        .map(str::to_owned)
        .into();
    for (name, kind) in kinds.into_iter().chain(scripts) {
        let path = format!("{directory}{name}");
        let file = get(&server, &path).await;
        assert_eq!(file.status, 200, "{path}");
        assert_eq!(file.header("content-type"), Some(kind));
        assert_eq!(
            file.header("cache-control"),
            Some("public, max-age=31536000, immutable")
        );
        let tag = file.header("etag").unwrap();
        let again = Ask::new("GET", &path).header("if-none-match", tag);
        let again = again.send(&server).await;
        assert_eq!((again.status, again.body.len()), (304, 0));
        // The page of another version gets today's file, and keeps it for no other day.
        let other = get(&server, &format!("/page/0000000000000000/{name}")).await;
        assert_eq!(other.body, file.body);
        assert_eq!(other.header("cache-control"), Some("no-store"));
        for import in file.text().split("from \"./").skip(1) {
            wanted.insert(import.split('"').next().unwrap().to_owned());
        }
    }
    let served = kinds.iter().map(|(name, _)| (*name).to_owned());
    let served: BTreeSet<String> = served.chain(SCRIPTS.map(str::to_owned)).collect();
    assert_eq!(wanted, served, "what is asked for, and what is there");
    let missing = get(&server, &format!("{directory}mod.rs")).await;
    assert_eq!(
        (missing.status, missing.problem().code),
        (404, "not_found".to_owned())
    );
}

#[tokio::test]
async fn the_page_itself_is_asked_for_each_time_and_sent_when_it_has_changed() {
    let server = Server::start().await;
    let page = get(&server, "/").await;
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    let tag = page.header("etag").unwrap();
    let asked = |tag: &str| Ask::new("GET", "/").header("if-none-match", tag);
    for known in [tag.to_owned(), format!("W/{tag}"), format!("\"x\", {tag}")] {
        let again = asked(&known).send(&server).await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{known}");
        assert!(again.header("content-security-policy").is_some());
    }
    assert_eq!(asked("\"x\"").send(&server).await.status, 200);
    let head = Ask::new("HEAD", "/").send(&server).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[tokio::test]
async fn the_page_knows_whom_this_server_lets_in_and_whom_to_call() {
    let server = Server::start().await;
    let korea = json!([
        {"contact": "109", "ko": "자살예방 상담전화", "en": "Suicide prevention line"},
        {"contact": "119", "ko": "응급 구조", "en": "Ambulance and rescue"},
    ]);
    let page = get(&server, "/").await;
    let feelings = Emotion::ALL
        .map(|label| json!({"label": label, "ko": label.korean(), "en": label.english()}));
    // Servers of these tests make no cards by themselves.
    let usual = json!({"registration": "open", "guests": false, "cards": false, "lines": korea, "feelings": feelings});
    assert_eq!(told(&page), usual);
    let closed = Server::with(|config| {
        config.auth.registration = Registration::Invite;
        config.auth.guests = true;
        config.safety.country = "US".to_owned();
    })
    .await;
    let other = get(&closed, "/").await;
    let told = told(&other);
    assert_eq!(
        (&told["registration"], &told["guests"]),
        (&json!("invite"), &json!(true))
    );
    assert_eq!(told["lines"][0]["contact"], "988");
    assert_ne!(page.header("etag"), other.header("etag"));
    assert_eq!(directory(page.text()), directory(other.text()));
}

#[tokio::test]
async fn where_the_page_is_switched_off_nothing_is_there() {
    let server = Server::start().await;
    let script = format!("{}page.js", directory(get(&server, "/").await.text()));
    let without = Server::with(|config| config.server.page = false).await;
    for path in ["/", &script] {
        let answer = get(&without, path).await;
        assert_eq!(
            (answer.status, answer.problem().code),
            (404, "not_found".to_owned())
        );
    }
    assert_eq!(get(&without, "/health").await.status, 200);
}

/// The policy forbids these too; here nobody has to open a browser to hear of it.
#[tokio::test]
async fn the_scripts_make_no_markup_of_strings_and_ask_nobody_else() {
    let server = Server::start().await;
    let directory = directory(get(&server, "/").await.text());
    for name in SCRIPTS {
        let file = get(&server, &format!("{directory}{name}")).await;
        let lines = file.text().lines().map(str::trim);
        let code: String = lines.filter(|line| !line.starts_with("//")).collect();
        for word in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "Function(",
            "setAttribute(\"style",
            "document.cookie",
            "import(",
            "\"http://",
            "\"https://",
        ] {
            assert!(!code.contains(word), "{name}: {word}");
        }
    }
}

/// The names before the pairs of a table in `words.js`.
fn names(words: &str, table: &str) -> BTreeSet<String> {
    let table = between(words, &format!("const {table} = {{\n"), "\n};\n");
    let heads = table.lines().filter_map(|line| line.strip_prefix("  "));
    let heads = heads.filter(|line| !line.starts_with([' ', ']']));
    heads
        .filter_map(|line| line.split_once(": ["))
        .map(|(name, _)| name.trim_matches('"').to_owned())
        .collect()
}

#[tokio::test]
async fn every_text_that_the_page_asks_for_is_there() {
    let server = Server::start().await;
    let page = get(&server, "/").await;
    let directory = directory(page.text());
    let words = get(&server, &format!("{directory}words.js")).await;
    let texts = names(words.text(), "texts");
    assert!(texts.len() > 60, "{texts:?}");
    let mut asked = BTreeSet::new();
    for attribute in [
        " data-t=\"",
        " data-t-label=\"",
        " data-t-title=\"",
        " data-t-placeholder=\"",
    ] {
        for rest in page.text().split(attribute).skip(1) {
            asked.insert(rest.split('"').next().unwrap().to_owned());
        }
    }
    for name in SCRIPTS {
        let file = get(&server, &format!("{directory}{name}")).await;
        for (at, call) in file.text().match_indices("t(\"") {
            let (before, rest) = file.text().split_at(at);
            if !before.ends_with(|c: char| c.is_alphanumeric()) {
                asked.insert(rest[call.len()..].split('"').next().unwrap().to_owned());
            }
        }
    }
    let missing: Vec<_> = asked.difference(&texts).collect();
    assert!(
        missing.is_empty() && asked.len() > 40,
        "{missing:?} of {asked:?}"
    );
    // What the server may refuse a person is told in the person's language.
    let errors = names(words.text(), "errors");
    for code in [
        "weak_password",
        "wrong_credentials",
        "email_taken",
        "registration_closed",
        "invite_needed",
        "session_ended",
        "turn_in_progress",
        "too_large",
        "too_many",
        "quota_exceeded",
        "overloaded",
        "unavailable",
        "interrupted",
        "model_unavailable",
        "internal",
        "not_found",
        "overloaded:card",
        "invalid_input:user_input",
        "invalid_input:email",
    ] {
        assert!(errors.contains(code), "{code}");
    }
}

#[tokio::test]
async fn the_page_has_a_name_for_every_feeling_and_for_every_part_of_a_card() {
    let server = Server::start().await;
    let page = get(&server, "/").await;
    let directory = directory(page.text());
    let words = get(&server, &format!("{directory}words.js")).await;
    // Each label can be told as a guess; what it is called comes with the page.
    let table = between(words.text(), "const guesses = {\n", "\n};\n");
    let guessed = table
        .lines()
        .map(|line| line.trim().split(':').next().unwrap());
    assert!(guessed.eq(Emotion::ALL.map(Emotion::as_str)), "{table}");
    assert!(
        !words.text().contains("\"joyful\""),
        "names are not kept twice"
    );
    let texts = names(words.text(), "texts");
    let card = get(&server, &format!("{directory}card.js")).await;
    let parts = between(card.text(), "const PARTS = [", "]").split(", ");
    let parts = parts.map(|part| part.trim_matches('"'));
    for part in parts.chain(["written", "extract", "better", "worse"]) {
        assert!(texts.contains(part), "{part}");
    }
}
