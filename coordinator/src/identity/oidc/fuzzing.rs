//! Claims of logins, and keys of issuers. The issuer has signed the claims; what people could choose of them is still anybody's.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, Validation};
use serde_json::{Map, Value};

use super::claims::{holder, until};
use super::keys::published;
use super::{ALGORITHMS, OidcConfig};

/// Longest text of an error, which goes into logs and statuses, bytes.
const ERROR_BYTES_MAX: usize = 1_000;

/// Claims let somebody in until a time to come, under a name that is fit for logs, or are refused in few words.
///
/// # Panics
/// Where that is not so.
pub fn claims(bytes: &[u8]) {
    let Ok(claims) = serde_json::from_slice(bytes) else {
        return;
    };
    let config = OidcConfig {
        issuer: "https://issuer.example".to_owned(),
        audience: "atelier".to_owned(),
        role_claim: "atelier_role".to_owned(),
        name_claim: "email".to_owned(),
        default_role: None,
    };
    let now = Timestamp::UNIX_EPOCH;
    let outcome = until(&claims, now).and_then(|until| Ok((until, holder(&claims, &config)?)));
    match outcome {
        Ok((until, identity)) => {
            assert!(until > now);
            assert!((1..=100).contains(&identity.name.chars().count()));
            assert!(!identity.name.chars().any(char::is_control));
        }
        Err(error) => {
            let told = error.to_string();
            assert!(told.len() <= ERROR_BYTES_MAX, "{} bytes", told.len());
            let moves = |letter: char| letter.is_control() && letter != '\n';
            assert!(!told.chars().any(moves), "{told:?}");
        }
    }
}

/// Keys that count are for a signature that counts, and tell a token that they did not sign from one that they did, however
/// odd they are.
///
/// # Panics
/// Where that is not so.
pub fn issuer_keys(bytes: &[u8]) {
    let Ok(keys) = published(bytes) else {
        return;
    };
    for (algorithm, key) in keys {
        assert!(ALGORITHMS.contains(&algorithm));
        let header = format!(r#"{{"alg":"{algorithm:?}"}}"#);
        let signature = match algorithm {
            Algorithm::RS256 => vec![1; 256],
            _ => vec![1; 64],
        };
        let parts = [header.as_bytes(), br#"{"sub":"ann"}"#, &signature];
        let token = parts
            .map(|part| BASE64_URL_SAFE_NO_PAD.encode(part))
            .join(".");
        let mut validation = Validation::new(algorithm);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        let decoded = jsonwebtoken::decode::<Map<String, Value>>(&token, &key, &validation);
        assert!(decoded.is_err(), "no key has signed this");
    }
}

/// What a fuzzer begins with.
#[cfg(test)]
pub(crate) fn seeds_of_keys() -> [(String, Vec<u8>); 1] {
    // Of RFC 7517, A.1 and RFC 8037, A.2.
    const SET: &str = r#"{"keys": [
        {"kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
         "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM", "use": "sig", "kid": "1"},
        {"kty": "RSA", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
         "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"},
        {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPjHURo"}
    ]}"#;
    [("three".to_owned(), SET.into())]
}

/// What a fuzzer begins with.
#[cfg(test)]
pub(crate) fn seeds_of_claims() -> impl Iterator<Item = (String, Vec<u8>)> {
    let seeds = [
        (
            "one",
            r#"{"sub": "7", "exp": 4102444800, "nbf": 0.5, "email": "ann@example.com", "email_verified": true, "atelier_role": "client"}"#,
        ),
        (
            "several",
            r#"{"sub": "ann", "exp": 4102444800.25, "atelier_role": ["painter", "operator", "node"]}"#,
        ),
        ("over", r#"{"sub": "ann", "exp": -9e15, "atelier_role": 3}"#),
    ];
    seeds
        .into_iter()
        .map(|(name, seed)| (name.to_owned(), seed.into()))
}
