//! A small OpenID Connect issuer, which stands in for a company's: it publishes keys, signs whatever it is told to, and can be
//! away.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};

use crate::served::Served;

/// What a private key of RSA begins with in PKCS #8, before it is as PKCS #1 has it.
const PKCS8_HEADER_BYTES: usize = 26;

/// A key that tokens are signed with.
#[derive(Clone)]
struct Key {
    kid: String,
    algorithm: Algorithm,
    private: EncodingKey,
    public: Value,
}

impl Key {
    fn generate(kid: &str, algorithm: Algorithm) -> anyhow::Result<Self> {
        let encoded = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let (private, mut public) = match algorithm {
            Algorithm::RS256 => {
                let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
                let der = key.serialize_der();
                let private = EncodingKey::from_rsa_der(&der[PKCS8_HEADER_BYTES..]);
                let public = serde_json::to_value(Jwk::from_encoding_key(&private, algorithm)?)?;
                (private, public)
            }
            Algorithm::ES256 => {
                let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
                let (x, y) = key.public_key_raw()[1..].split_at(32);
                let public = json!({"kty": "EC", "crv": "P-256", "x": encoded(x), "y": encoded(y)});
                (EncodingKey::from_ec_der(&key.serialize_der()), public)
            }
            Algorithm::EdDSA => {
                let key = KeyPair::generate_for(&PKCS_ED25519)?;
                let x = encoded(key.public_key_raw());
                let public = json!({"kty": "OKP", "crv": "Ed25519", "x": x});
                (EncodingKey::from_ed_der(&key.serialize_der()), public)
            }
            other => anyhow::bail!("no key for {other:?}"),
        };
        public["kid"] = json!(kid);
        public["alg"] = json!(format!("{algorithm:?}"));
        public["use"] = json!("sig");
        Ok(Self {
            kid: kid.to_owned(),
            algorithm,
            private,
            public,
        })
    }
}

#[derive(Default)]
struct Kept {
    issuer: String,
    keys: Vec<Key>,
    is_away: bool,
    fetches: u32,
}

/// The issuer, until it is dropped.
pub struct Issuer {
    /// Its URL.
    pub url: String,
    kept: Arc<Mutex<Kept>>,
    _served: Served,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Issuer {
    /// An issuer with one key.
    ///
    /// # Errors
    /// When it cannot be served.
    pub async fn start(algorithm: Algorithm) -> anyhow::Result<Self> {
        let kept = Arc::new(Mutex::new(Kept {
            keys: vec![Key::generate("first", algorithm)?],
            ..Kept::default()
        }));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discover))
            .route("/keys", get(keys))
            .with_state(kept.clone());
        let served = Served::start(router).await?;
        let issuer = Self {
            url: served.url.clone(),
            kept,
            _served: served,
        };
        issuer.kept().issuer.clone_from(&issuer.url);
        Ok(issuer)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on it signs with a new key, and publishes no other one.
    ///
    /// # Errors
    /// When there is no such key.
    pub fn rotate(&self, kid: &str, algorithm: Algorithm) -> anyhow::Result<()> {
        let key = Key::generate(kid, algorithm)?;
        self.kept().keys = vec![key];
        Ok(())
    }

    /// From now on it does not answer as it should, or it does.
    pub fn be_away(&self, is_away: bool) {
        self.kept().is_away = is_away;
    }

    /// How often its keys were asked for.
    pub fn fetches(&self) -> u32 {
        self.kept().fetches
    }

    /// Claims of somebody, good for an hour from `now` (seconds since 1970), with others in place of the usual ones; what is
    /// `null` is left out.
    pub fn claims(&self, now: i64, others: Value) -> Value {
        let mut claims = json!({
            "iss": self.url, "aud": "atelier", "sub": "42", "exp": now + 3600, "iat": now,
            "email": "ann@example.com", "email_verified": true, "atelier_role": "client",
        });
        if let (Value::Object(claims), Value::Object(others)) = (&mut claims, others) {
            claims.extend(others);
            claims.retain(|_, value| !value.is_null());
        }
        claims
    }

    /// A token with these claims, signed with the newest key.
    ///
    /// # Errors
    /// When they cannot be signed.
    pub fn sign(&self, claims: &Value) -> anyhow::Result<String> {
        let key = self.kept().keys.last().cloned();
        let key = key.ok_or_else(|| anyhow::anyhow!("it has no key"))?;
        let mut header = Header::new(key.algorithm);
        header.kid = Some(key.kid);
        Ok(jsonwebtoken::encode(&header, claims, &key.private)?)
    }

    /// A token with these claims as a forger makes one, who knows what is published: with this algorithm in its header, and
    /// signed by HMAC with the public key if that is `HS256`, or not at all.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn forge(&self, claims: &Value, algorithm: &str) -> anyhow::Result<String> {
        let kept = self.kept();
        let key = kept.keys.last();
        let public = key.map(|key| key.public.clone()).unwrap_or_default();
        let header = json!({"alg": algorithm, "typ": "JWT", "kid": public["kid"]});
        if algorithm == "HS256" {
            let secret = public["n"]
                .as_str()
                .or(public["x"].as_str())
                .unwrap_or_default();
            let secret = EncodingKey::from_secret(&BASE64_URL_SAFE_NO_PAD.decode(secret)?);
            let mut header = Header::new(Algorithm::HS256);
            header.kid = public["kid"].as_str().map(str::to_owned);
            return Ok(jsonwebtoken::encode(&header, claims, &secret)?);
        }
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        Ok(format!("{}.{}.", part(&header), part(claims)))
    }
}

type Shared = State<Arc<Mutex<Kept>>>;

async fn discover(State(kept): Shared) -> Result<Json<Value>, StatusCode> {
    let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.is_away {
        return Err(StatusCode::BAD_GATEWAY);
    }
    let issuer = &kept.issuer;
    Ok(Json(
        json!({"issuer": issuer, "jwks_uri": format!("{issuer}/keys")}),
    ))
}

async fn keys(State(kept): Shared) -> Result<Json<Value>, StatusCode> {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.is_away {
        return Err(StatusCode::BAD_GATEWAY);
    }
    kept.fetches += 1;
    // One of a kind that nobody here knows, as companies have.
    let other = json!({"kty": "EC", "crv": "secp256k1", "kid": "other", "x": "AA", "y": "AA"});
    let own = kept.keys.iter().map(|key| key.public.clone());
    let keys: Vec<Value> = std::iter::once(other).chain(own).collect();
    Ok(Json(json!({"keys": keys})))
}
