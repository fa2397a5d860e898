//! Tokens that this server did not make, some of them signed with its own key.

use crate::support::{Person, START, Server};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

/// The server's signing key, as its file has it.
pub struct Forge {
    kid: String,
    key: Vec<u8>,
}

impl Forge {
    pub fn of(server: &Server) -> Self {
        let file = server.dir.path().join("data/token.key");
        let text = std::fs::read_to_string(file).unwrap();
        let (kid, hex) = text.trim().split_once(' ').unwrap();
        let digits: Vec<char> = hex.chars().collect();
        let key = digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
            .collect();
        Self {
            kid: kid.to_owned(),
            key,
        }
    }

    /// What a genuine token of this person says.
    fn claims(person: &Person) -> Value {
        let now = START.as_seconds();
        json!({
            "iss": "deepme", "aud": "deepme", "sub": person.user_id, "sid": login_of(&person.token),
            "iat": now, "nbf": now, "exp": now + 600, "epoch": 0,
        })
    }

    fn token(header: &Value, claims: &Value, key: &[u8]) -> String {
        let signed = format!("{}.{}", part(header), part(claims));
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(signed.as_bytes());
        format!("{signed}.{}", base64url(&mac.finalize().into_bytes()))
    }

    /// Control: a token that is made here and is as good as a genuine one.
    pub fn good(&self, person: &Person) -> String {
        let header = json!({"alg": "HS256", "typ": "at+jwt", "kid": self.kid});
        Self::token(&header, &Self::claims(person), &self.key)
    }

    /// Everything that must not open a door, by name.
    pub fn bad(&self, person: &Person) -> Vec<(String, String)> {
        let good_header = json!({"alg": "HS256", "typ": "at+jwt", "kid": self.kid});
        let claims = Self::claims(person);
        let now = START.as_seconds();
        let mut all: Vec<(String, String)> = Vec::new();
        let mut add = |name: &str, token: String| all.push((name.to_owned(), token));
        add("garbage", "garbage".into());
        add("dots", "..".into());
        let genuine = &person.token;
        add("cut", genuine[..genuine.len() - 1].to_owned());
        add(
            "no signature",
            genuine.rsplit_once('.').unwrap().0.to_owned() + ".",
        );
        for alg in ["none", "None", "HS512", "HS384", "RS256", "ES256", "EdDSA"] {
            let mut header = good_header.clone();
            header["alg"] = alg.into();
            add(
                &format!("alg {alg}"),
                Self::token(&header, &claims, &self.key),
            );
            let bare = format!("{}.{}.", part(&header), part(&claims));
            add(&format!("alg {alg}, unsigned"), bare);
        }
        for (member, value) in [
            ("typ", json!("JWT")),
            ("typ", Value::Null),
            ("kid", json!("other")),
            ("kid", Value::Null),
            ("kid", json!("../../../dev/null")),
        ] {
            let mut header = good_header.clone();
            header[member] = value.clone();
            add(
                &format!("{member} {value}"),
                Self::token(&header, &claims, &self.key),
            );
        }
        let other_key = [7; 32];
        add("other key", Self::token(&good_header, &claims, &other_key));
        add("empty key", Self::token(&good_header, &claims, &[]));
        let mut header = good_header.clone();
        let point = base64url(&other_key);
        header["jwk"] = json!({"kty": "oct", "k": point});
        header["jku"] = json!("http://127.0.0.1:9/keys");
        add(
            "brings its own key",
            Self::token(&header, &claims, &other_key),
        );
        for (claim, value) in [
            ("aud", json!("other")),
            ("aud", Value::Null),
            ("iss", json!("other")),
            ("sub", json!("jiwoo")),
            ("sub", json!("00000000-0000-0000-0000-000000000000")),
            ("sid", json!("00000000-0000-0000-0000-000000000000")),
            ("sid", json!("jiwoo")),
            ("sid", Value::Null),
            ("exp", json!(now - 11)),
            ("exp", Value::Null),
            ("nbf", json!(now + 11)),
            ("nbf", Value::Null),
            ("iat", json!(now + 3600)),
            ("epoch", json!(-1)),
            ("epoch", json!(1)),
            ("epoch", Value::Null),
        ] {
            let mut claims = claims.clone();
            claims[claim] = value.clone();
            let token = Self::token(&good_header, &claims, &self.key);
            add(&format!("{claim} {value}"), token);
        }
        all
    }
}

/// The login that a token hangs on.
pub fn login_of(token: &str) -> Value {
    let claims: Value =
        serde_json::from_slice(&unbase64url(token.split('.').nth(1).unwrap())).unwrap();
    claims["sid"].clone()
}

fn part(value: &Value) -> String {
    base64url(value.to_string().as_bytes())
}

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn unbase64url(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in text.as_bytes().chunks(4) {
        let digits = chunk
            .iter()
            .map(|c| ALPHABET.iter().position(|a| a == c).unwrap());
        let bits = digits.fold(0, |n, digit| n << 6 | digit) << (6 * (4 - chunk.len()));
        bytes.extend((0..chunk.len() - 1).map(|i| (bits >> (16 - 8 * i)).to_le_bytes()[0]));
    }
    bytes
}

fn base64url(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk
            .iter()
            .fold(0_u32, |n, byte| n << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        for i in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * i)) as usize & 63]));
        }
    }
    text
}
