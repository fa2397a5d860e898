//! The description of the REST surface and the page to try it, both from the binary.

use crate::raw::{Answer, Ask};
use crate::support::Server;
use serde_json::Value;
use std::collections::BTreeSet;

async fn get(server: &Server, path: &str) -> Answer {
    let mut answer = Ask::new("GET", path)
        .header("accept-encoding", "gzip")
        .send(server)
        .await;
    if answer.header("content-encoding") == Some("gzip") {
        let mut gzip = assert_cmd::Command::new("gzip");
        let unpacked = gzip.arg("-dc").write_stdin(answer.body).output().unwrap();
        assert!(unpacked.status.success());
        answer.body = unpacked.stdout;
    }
    answer
}

fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods
            .filter(|(method, _)| {
                ["get", "put", "post", "delete", "patch"].contains(&method.as_str())
            })
            .map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    operations.collect()
}

#[tokio::test]
async fn the_document_is_openapi_3_1_and_every_operation_says_what_it_is() {
    let server = Server::start().await;
    let answer = get(&server, "/openapi.json").await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("application/json"))
    );
    let document = answer.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        document["components"]["securitySchemes"]["bearer"]["scheme"],
        "bearer"
    );
    let operations = operations(&document);
    let mut ids = BTreeSet::new();
    for (name, operation) in &operations {
        assert!(
            operation["summary"].as_str().is_some_and(|s| s.len() > 3),
            "{name}"
        );
        assert!(
            operation["tags"].as_array().is_some_and(|t| !t.is_empty()),
            "{name}"
        );
        assert!(
            ids.insert(operation["operationId"].as_str().unwrap()),
            "{name}: id used twice"
        );
        let responses = operation["responses"].as_object().unwrap();
        assert!(
            responses.keys().any(|status| status.starts_with('2')),
            "{name}"
        );
        for (status, response) in responses.iter().filter(|(s, _)| s.starts_with('4')) {
            let problem = &response["content"]["application/problem+json"];
            assert!(
                problem.is_object(),
                "{name} {status}: every error is a problem"
            );
        }
        let open = operation.get("security").is_some();
        assert_eq!(
            responses.contains_key("401"),
            !open
                || ["post /login", "post /refresh", "post /password/reset"]
                    .contains(&name.as_str()),
            "{name}"
        );
    }
    assert!(operations.len() >= 16, "{}", operations.len());
    assert_eq!(
        deepme::http::openapi_json().parse::<Value>().unwrap(),
        document
    );
}

/// A client generator stumbles over a reference that leads nowhere.
#[tokio::test]
async fn every_reference_leads_somewhere() {
    fn walk(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                    found.insert(reference.to_owned());
                }
                members.values().for_each(|value| walk(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| walk(value, found)),
            _ => {}
        }
    }
    let document: Value = deepme::http::openapi_json().parse().unwrap();
    let mut references = BTreeSet::new();
    walk(&document, &mut references);
    assert!(references.len() >= 8);
    for reference in &references {
        let pointer = reference.strip_prefix('#').expect("nothing outside");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    // And no schema is there for nothing.
    for name in document["components"]["schemas"]
        .as_object()
        .unwrap()
        .keys()
    {
        assert!(
            references.contains(&format!("#/components/schemas/{name}")),
            "{name}"
        );
    }
}

#[tokio::test]
async fn the_page_and_its_assets_come_from_here_and_nowhere_else() {
    let server = Server::start().await;
    let short = get(&server, "/docs").await;
    assert!((300..400).contains(&short.status), "{short:?}");
    assert_eq!(short.header("location"), Some("/docs/"));
    let page = get(&server, "/docs/").await;
    assert_eq!(page.status, 200);
    let html = page.text().to_owned();
    let mut assets = Vec::new();
    for attribute in ["src=\"", "href=\""] {
        for part in html.split(attribute).skip(1) {
            assets.push(part.split('"').next().unwrap().to_owned());
        }
    }
    assert!(assets.len() >= 4, "{html}");
    for asset in &assets {
        assert!(!asset.contains("//"), "{asset} is somebody else's");
        let path = asset.trim_start_matches("./").trim_start_matches("/docs/");
        let answer = get(&server, &format!("/docs/{path}")).await;
        assert_eq!(answer.status, 200, "{asset}");
        assert!(!answer.body.is_empty(), "{asset}");
        let kind = answer.header("content-type").unwrap();
        let wanted = match path.rsplit('.').next().unwrap() {
            "js" => "javascript",
            "css" => "css",
            "png" => "png",
            other => panic!("{other}"),
        };
        assert!(kind.contains(wanted), "{asset}: {kind}");
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{asset}"
        );
    }
    let start = get(&server, "/docs/swagger-initializer.js").await;
    assert!(start.text().contains("/openapi.json"));
    assert!(
        !start.text().contains("http://") && !start.text().contains("https://"),
        "{}",
        start.text()
    );
    // A browser keeps it to that.
    for answer in [&page, &start] {
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'self'") && policy.contains("connect-src 'self'"));
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("http"));
        let scripts = policy
            .split(';')
            .find(|part| part.trim().starts_with("script-src"));
        assert!(scripts.is_none_or(|scripts| !scripts.contains("unsafe")));
    }
    assert_eq!(get(&server, "/docs/nothing.js").await.status, 404);
    assert_eq!(get(&server, "/docs/../token.key").await.status, 404);
}

/// A page whose own scripts are forbidden by its own policy shows nothing.
#[tokio::test]
async fn the_page_has_no_script_that_its_policy_forbids() {
    let server = Server::start().await;
    let page = get(&server, "/docs/").await;
    for script in page.text().split("<script").skip(1) {
        let (attributes, inside) = script.split_once('>').unwrap();
        assert!(attributes.contains("src="), "{attributes}");
        let inside = inside.split("</script>").next().unwrap().trim();
        assert!(inside.is_empty(), "an inline script: {inside}");
    }
}
