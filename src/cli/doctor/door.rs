//! What it means how a server looks from outside.
//!
//! Decides purely, by what [`super::outside`] has gathered. Called by `deepme doctor --url`. Invariant: what is only a
//! consequence of something that was found is not told of as something else to mend.

use super::findings::{Finding, Severity, clock, fail, ok, warn};
use super::outside::{Answer, Knocks, STRANGER, Turn, Validity, WORDS};
use crate::domain::Timestamp;
use reqwest::Url;
use std::time::Duration;

/// How long before its end any certificate should have been renewed: Let's Encrypt's of 90 days are at 30.
const EXPIRES_SOON: Duration = Duration::from_hours(14 * 24);
/// A certificate of a few days, or of hours, should have been when this part of its time is left: Caddy renews at a third.
const LAST_PART: u32 = 5;
/// How a proxy that is configured otherwise should be.
const MANUAL: &str = "docs/operations.md, Behind a proxy";

/// As people write it.
fn shown(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn is_here(url: &Url) -> bool {
    matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

/// Whether deepme is behind the door at all, so that there is more to look at.
pub(super) fn is_there(answer: &Result<Answer, String>) -> bool {
    answer.as_ref().is_ok_and(|answer| answer.ours)
}

/// What `/health` and the way to it look like.
pub(super) fn health(base: &Url, answer: &Result<Answer, String>, now: Timestamp) -> Vec<Finding> {
    const CHECK: &str = "health";
    let answer = match answer {
        Ok(answer) => answer,
        Err(why) => return vec![unreached(base, why)],
    };
    if let (300..400, Some(elsewhere)) = (answer.status, &answer.elsewhere) {
        let elsewhere = shown(elsewhere);
        return vec![fail(
            CHECK,
            format!("{} sends people on to {elsewhere}", shown(base)),
            format!("look there: deepme doctor --url {elsewhere}"),
        )];
    }
    let mut found = vec![tls(base, answer.certificate, now)];
    found.push(match answer.status {
        200 if answer.ours => ok(CHECK, format!("/health is well and took {} ms", answer.took.as_millis())),
        503 if answer.ours => fail(CHECK, "/health is 503: the database does not answer, or the server drains", "journalctl -u deepme"),
        502..=504 => fail(
            CHECK,
            format!("the proxy is there, but does not reach deepme (HTTP {})", answer.status),
            "systemctl status deepme; what proxy_pass (nginx) or reverse_proxy (Caddy) names must be its server.listen",
        ),
        status => fail(
            CHECK,
            format!("/health is answered with HTTP {status}, by something that is not deepme"),
            format!("let the proxy hand everything on to server.listen ({MANUAL})"),
        ),
    });
    // What a proxy says by itself is the time of the proxy.
    if let (true, Some(date)) = (answer.ours, answer.date) {
        // It is told to the second.
        found.push(clock("the server", date.as_micros() - now.as_micros()));
    }
    found
}

/// Nothing came back.
fn unreached(base: &Url, why: &str) -> Finding {
    let host = base.host_str().unwrap_or_default();
    let at = shown(base);
    if let Some((_, what)) = why.split_once("invalid peer certificate: ") {
        let (what, fix) = if what.contains("not valid for name") {
            let fix = format!(
                "certbot certonly -d {host}, and its files in the server of this server_name (nginx); the name of the site must be {host} (Caddy)"
            );
            (what, fix)
        } else if what.to_lowercase().contains("expired") {
            let fix = "renew it: certbot renew, then nginx -s reload; or see why Caddy has not: journalctl -u caddy";
            ("it has expired", fix.to_owned())
        } else if what == "UnknownIssuer" {
            let fix = "ssl_certificate takes the whole chain, fullchain.pem (nginx); an authority of your own has to be made known to this machine: update-ca-certificates";
            (
                "nobody whom this machine trusts has issued it",
                fix.to_owned(),
            )
        } else {
            (what, format!("another certificate ({MANUAL})"))
        };
        return fail(
            "tls",
            format!("the certificate at {at} is refused: {what}"),
            fix,
        );
    }
    let fix = if why.contains("dns error") {
        format!("the name must be in DNS and point to the proxy: getent hosts {host}")
    } else if is_here(base) {
        "systemctl status deepme".to_owned()
    } else {
        "see whether the proxy runs and listens there, systemctl status nginx caddy, and whether a firewall lets nobody through".to_owned()
    };
    fail("health", format!("{at} does not answer: {why}"), fix)
}

fn tls(base: &Url, certificate: Option<Validity>, now: Timestamp) -> Finding {
    const CHECK: &str = "tls";
    if base.scheme() == "http" && is_here(base) {
        return ok(CHECK, "not needed: the server is asked on this machine");
    }
    if base.scheme() == "http" {
        return fail(
            CHECK,
            "what people say travels in the clear: the address begins with http",
            format!("a proxy that ends TLS ({MANUAL})"),
        );
    }
    let Some(Validity { from, until }) = certificate else {
        return ok(CHECK, "the certificate is accepted");
    };
    let left = until.since(now);
    let hours = left.as_secs() / 3600;
    let says = if hours < 48 {
        format!("the certificate is accepted and holds {hours} hours")
    } else {
        format!("the certificate is accepted and holds {} days", hours / 24)
    };
    if left < EXPIRES_SOON.min(until.since(from) / LAST_PART) {
        warn(
            CHECK,
            says,
            "renew it: certbot renew, or see why Caddy has not: journalctl -u caddy",
        )
    } else {
        ok(CHECK, says)
    }
}

/// Whether a handshake gets through, that of the server's own page, too, and one of a page of elsewhere does not.
pub(super) fn handshake(base: &Url, knocks: &Knocks) -> Vec<Finding> {
    const CHECK: &str = "websocket";
    let handed_on = format!("let the proxy hand everything on to server.listen ({MANUAL})");
    let through = match &knocks.nobody {
        Err(why) => fail(
            CHECK,
            format!("the handshake does not get through: {why}"),
            handed_on,
        ),
        Ok(answer) => match answer.status {
            401 if answer.ours => ok(
                CHECK,
                "the handshake gets through, and nobody is let in without a login",
            ),
            429 | 503 => warn(
                CHECK,
                format!(
                    "the server takes no sockets at the moment (HTTP {})",
                    answer.status
                ),
                "journalctl -u deepme",
            ),
            400 | 426 if answer.ours => fail(
                CHECK,
                "the handshake arrives as a plain request: the proxy does not hand Upgrade and Connection on",
                format!(
                    "proxy_http_version 1.1 and proxy_set_header Upgrade and Connection (nginx); Caddy does it by itself ({MANUAL})"
                ),
            ),
            101 => fail(
                CHECK,
                "somebody without a login was let in: this is not deepme",
                handed_on,
            ),
            status => fail(
                CHECK,
                format!("the handshake at /ws/emotion is answered with HTTP {status}"),
                handed_on,
            ),
        },
    };
    let mut found = vec![through];
    if found[0].severity == Severity::Ok {
        found.extend(pages(base, knocks));
    }
    found
}

/// Which pages are let in, where a handshake gets through.
fn pages(base: &Url, knocks: &Knocks) -> Vec<Finding> {
    const CHECK: &str = "origin";
    let (Ok(own), Ok(stranger)) = (&knocks.own, &knocks.stranger) else {
        return Vec::new();
    };
    let (own, stranger) = (own.status, stranger.status);
    if [own, stranger]
        .iter()
        .any(|status| matches!(status, 429 | 503))
    {
        return Vec::new();
    }
    let mut found = Vec::new();
    if own == 403 {
        found.push(fail(
            CHECK,
            format!("the page at {} itself is refused: the Host that arrives is another one", shown(base)),
            "proxy_set_header Host $host, or $http_host on another port than 443 (nginx); no header_up Host (Caddy); or name it in server.origins",
        ));
    }
    if stranger != 403 {
        found.push(fail(
            CHECK,
            format!(
                "a page of elsewhere, {STRANGER}, is not refused: HTTP {stranger} instead of 403"
            ),
            "the proxy must hand Origin on as it is; server.origins must not name it",
        ));
    }
    if found.is_empty() {
        found.push(ok(
            CHECK,
            "the server's own page is let in, and one of elsewhere is refused",
        ));
    }
    found
}

/// Pieces that come within this have come together: no model is as fast after it was so slow.
const AT_ONCE: Duration = Duration::from_millis(50);
/// How long an answer must have taken for that: what is quicker may have been said as quickly.
const SLOW: Duration = Duration::from_millis(500);
/// Pieces of an answer by which it can be told whether something holds them back.
const ENOUGH: usize = 5;

/// Whether words and answers come through as they are and when they are.
pub(super) fn conversation(turn: &Result<Turn, String>) -> Vec<Finding> {
    let turn = match turn {
        Ok(turn) => turn,
        Err(why) => {
            return vec![fail(
                "turn",
                format!("a turn did not work: {why}"),
                "journalctl -u deepme; deepme doctor --models on the server",
            )];
        }
    };
    let hangul = if turn.heard == WORDS {
        ok("hangul", "Hangul and emoji arrive as they were sent")
    } else {
        fail(
            "hangul",
            "Hangul does not arrive as it was sent",
            "look for something between that rewrites what it does not know",
        )
    };
    let count = turn.pieces.len();
    let streaming = match (turn.pieces.first(), turn.pieces.last()) {
        (Some(first), Some(last)) if count >= ENOUGH => {
            let (whole, spread) = (*last, last.saturating_sub(*first));
            let says = format!(
                "{count} pieces of an answer came over {} ms, the first after {} ms",
                spread.as_millis(),
                first.as_millis()
            );
            if whole > SLOW && spread < AT_ONCE {
                warn(
                    "streaming",
                    format!("{says}: something holds them back until the end"),
                    "look for what takes WebSockets apart on the way, a CDN or a firewall: nginx and Caddy hand on what comes at once",
                )
            } else {
                ok("streaming", says)
            }
        }
        _ => ok(
            "streaming",
            format!(
                "the answer came in {count} pieces, too few to tell whether they are held back"
            ),
        ),
    };
    vec![hangul, streaming]
}
