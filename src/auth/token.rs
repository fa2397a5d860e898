//! Access tokens: JWT, HS256 only.
//!
//! Owns [`Tokens`]. Invariants: the algorithm is fixed before a token is looked at; `kid` only picks
//! among the server's own keys; issuer, audience, type, `nbf` and `exp` are required and checked
//! against the clock that is handed in.

use super::keys::Key;
use super::ring::Ring;
use crate::domain::{Error, ErrorCode, LoginId, Result, Timestamp, UserId};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::sync::Arc;
use std::time::Duration;

/// `iss` and `aud`: tokens of this kind of server, for this kind of server.
const ISSUER: &str = "deepme";
/// RFC 9068's type of an access token.
const TYPE: &str = "at+jwt";
/// Seconds by which clocks may differ (the checklist allows 30).
const LEEWAY: i64 = 10;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: UserId,
    /// The login that it hangs on.
    sid: LoginId,
    iat: i64,
    nbf: i64,
    exp: i64,
    /// The account's token epoch at the time; an older one is void.
    epoch: i64,
}

/// A token that is genuine and within its time. Whether its account still stands is a question for
/// the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// Who it is.
    pub user_id: UserId,
    /// By which login.
    pub login_id: LoginId,
    /// The account's token epoch when it was issued.
    pub epoch: i64,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Makes and checks tokens.
#[derive(Clone)]
pub struct Tokens {
    keys: Arc<Ring>,
}

impl Tokens {
    /// Tokens signed with the first of these keys.
    pub fn new(keys: Arc<Ring>) -> Self {
        // Fails when it is installed already, which is as good.
        let _ = PROVIDER.install_default();
        Self { keys }
    }

    /// A token for this person by this login.
    pub fn issue(
        &self,
        user_id: UserId,
        login_id: LoginId,
        epoch: i64,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<String> {
        let keys = self.keys.now();
        let key = keys.signing()?;
        let iat = now.as_seconds();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: ISSUER.to_owned(),
            sub: user_id,
            sid: login_id,
            iat,
            nbf: iat,
            exp: iat.saturating_add(i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX)),
            epoch,
        };
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(key.kid.clone());
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(&key.secret))
            .map_err(|e| Error::internal(e.to_string()))
    }

    /// Whom the token names; `unauthorized` when it is not genuine or not within its time.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Subject> {
        let claims = self.claims(token).ok_or_else(unauthorized)?;
        let seconds = now.as_seconds();
        if claims.nbf > seconds + LEEWAY
            || claims.iat > seconds + LEEWAY
            || claims.exp <= seconds - LEEWAY
        {
            return Err(Error::new(
                ErrorCode::Unauthorized,
                "the access token has expired: log in again",
            ));
        }
        Ok(Subject {
            user_id: claims.sub,
            login_id: claims.sid,
            epoch: claims.epoch,
            expires_at: Timestamp::from_micros(claims.exp.saturating_mul(1_000_000)),
        })
    }

    fn claims(&self, token: &str) -> Option<Claims> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        let keys = self.keys.now();
        let key: &Key = keys.named(header.kid.as_deref()?)?;
        if header.alg != Algorithm::HS256 || header.typ.as_deref() != Some(TYPE) {
            return None;
        }
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[ISSUER]);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
        // Time is checked by the caller, against the clock that was handed in.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        jsonwebtoken::decode(token, &DecodingKey::from_secret(&key.secret), &validation)
            .ok()
            .map(|data| data.claims)
    }
}

fn unauthorized() -> Error {
    Error::new(
        ErrorCode::Unauthorized,
        "the access token is not valid: log in again",
    )
}

/// `jsonwebtoken` with HS256 and nothing else: its own backends would bring RSA or another C library.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| match algorithm {
        Algorithm::HS256 => Ok(Box::new(Hs256(mac(key.as_bytes())?))),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    },
    verifier_factory: |algorithm, key| match algorithm {
        Algorithm::HS256 => Ok(Box::new(Hs256(mac(key.try_get_as_bytes()?)?))),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    },
    key_utils: KeyUtils::new_unimplemented(),
};

fn mac(secret: &[u8]) -> jsonwebtoken::errors::Result<Hmac<Sha256>> {
    Hmac::new_from_slice(secret).map_err(|_| ErrorKind::InvalidKeyFormat.into())
}

struct Hs256(Hmac<Sha256>);

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(self
            .0
            .clone()
            .chain_update(message)
            .finalize()
            .into_bytes()
            .to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        // Compares in constant time.
        self.0
            .clone()
            .chain_update(message)
            .verify_slice(signature)
            .map_err(|_| signature::Error::new())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::SystemRandom;
    use crate::auth::keys::Keys;
    use uuid::Uuid;

    const NOW: Timestamp = Timestamp::from_micros(1_795_416_374_000_000);
    const HOUR: Duration = Duration::from_hours(1);

    fn tokens() -> Tokens {
        Tokens::new(Arc::new(Ring::new(Keys::generate(&SystemRandom).unwrap())))
    }

    fn me() -> UserId {
        UserId(Uuid::from_u128(7))
    }

    fn login() -> LoginId {
        LoginId(Uuid::from_u128(8))
    }

    /// A token with another header or other claims, signed with the right key.
    fn forged(
        tokens: &Tokens,
        header: &serde_json::Value,
        change: impl Fn(&mut serde_json::Value),
    ) -> String {
        let keys = tokens.keys.now();
        let key = keys.signing().unwrap();
        let mut claims = serde_json::json!({
            "iss": ISSUER, "aud": ISSUER, "sub": me(), "sid": login(), "iat": NOW.as_seconds(), "nbf": NOW.as_seconds(),
            "exp": NOW.as_seconds() + 60, "epoch": 0
        });
        change(&mut claims);
        let part = |value: &serde_json::Value| base64url(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(header), part(&claims));
        let signature = mac(&key.secret)
            .unwrap()
            .chain_update(signed.as_bytes())
            .finalize()
            .into_bytes();
        format!("{signed}.{}", base64url(&signature))
    }

    fn base64url(bytes: &[u8]) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut text = String::new();
        for chunk in bytes.chunks(3) {
            let n =
                chunk.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
            for i in 0..=chunk.len() {
                text.push(char::from(ALPHABET[(n >> (18 - 6 * i)) as usize & 63]));
            }
        }
        text
    }

    #[test]
    fn a_token_names_its_subject_until_it_ends() {
        let tokens = tokens();
        let token = tokens.issue(me(), login(), 3, NOW, HOUR).unwrap();
        let subject = tokens.verify(&token, NOW).unwrap();
        assert_eq!(
            (subject.user_id, subject.login_id, subject.epoch),
            (me(), login(), 3)
        );
        assert_eq!(subject.expires_at, NOW.plus(HOUR));
        assert!(
            tokens
                .verify(&token, NOW.plus(HOUR + Duration::from_secs(11)))
                .is_err()
        );
        assert!(
            tokens
                .verify(&token, Timestamp::from_micros(NOW.as_micros() - 60_000_000))
                .is_err()
        );
    }

    #[test]
    fn forged_tokens_are_refused() {
        let tokens = tokens();
        let kid = tokens.keys.now().signing().unwrap().kid.clone();
        let good = serde_json::json!({"alg": "HS256", "typ": TYPE, "kid": kid});
        assert!(
            tokens.verify(&forged(&tokens, &good, |_| ()), NOW).is_ok(),
            "the forge itself works"
        );
        for header in [
            serde_json::json!({"alg": "none", "typ": TYPE, "kid": kid}),
            serde_json::json!({"alg": "HS512", "typ": TYPE, "kid": kid}),
            serde_json::json!({"alg": "RS256", "typ": TYPE, "kid": kid}),
            serde_json::json!({"alg": "HS256", "typ": "JWT", "kid": kid}),
            serde_json::json!({"alg": "HS256", "typ": TYPE}),
            serde_json::json!({"alg": "HS256", "typ": TYPE, "kid": "../../etc/passwd"}),
            serde_json::json!({"alg": "HS256", "typ": TYPE, "jku": "http://127.0.0.1/keys"}),
        ] {
            assert!(
                tokens
                    .verify(&forged(&tokens, &header, |_| ()), NOW)
                    .is_err(),
                "{header}"
            );
        }
        for (claim, value) in [
            ("aud", serde_json::json!("other")),
            ("iss", serde_json::json!("other")),
            ("sub", serde_json::json!("nobody")),
            ("sid", serde_json::json!("nobody")),
            ("sid", serde_json::Value::Null),
            ("exp", serde_json::json!(NOW.as_seconds() - 60)),
            ("nbf", serde_json::json!(NOW.as_seconds() + 60)),
            ("exp", serde_json::Value::Null),
        ] {
            let token = forged(&tokens, &good, |claims| claims[claim] = value.clone());
            assert!(tokens.verify(&token, NOW).is_err(), "{claim}={value}");
        }
        let other = self::tokens().issue(me(), login(), 0, NOW, HOUR).unwrap();
        assert!(tokens.verify(&other, NOW).is_err(), "another server's key");
        let token = tokens.issue(me(), login(), 0, NOW, HOUR).unwrap();
        for broken in [
            "",
            ".",
            "..",
            "a.b.c",
            &token[1..],
            &token[..token.len() - 1],
            token.rsplit_once('.').unwrap().0,
        ] {
            assert!(tokens.verify(broken, NOW).is_err(), "{broken}");
        }
    }
}
