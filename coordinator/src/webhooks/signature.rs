//! How a receiver knows that a delivery comes from here and is new: the
//! [Standard Webhooks specification](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md),
//! whose libraries verify it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::Sha256;

/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// Bytes of a secret.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// What this coordinator and a receiver alone know.
#[derive(Debug, Clone)]
pub(super) struct Secret(SecretSlice<u8>);

impl Secret {
    /// Reads a secret as the specification writes it: `whsec_` and the base64 of 24 to 64 bytes.
    ///
    /// # Errors
    /// In words, which do not tell the secret.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let encoded = text.trim().strip_prefix(PREFIX);
        let encoded = encoded.ok_or("it does not begin with whsec_")?;
        let bytes = BASE64_STANDARD.decode(encoded);
        let bytes = bytes.map_err(|_| "what follows whsec_ is no base64")?;
        if BYTES.contains(&bytes.len()) {
            Ok(Self(bytes.into()))
        } else {
            Err("it has fewer than 24 or more than 64 bytes")
        }
    }

    /// The header `webhook-signature` of a delivery; `timestamp` in seconds since the Unix epoch.
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        // HMAC takes keys of any length.
        let mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret());
        let signed = mac.map(|mac| {
            mac.chain_update(format!("{id}.{timestamp}.{body}"))
                .finalize()
                .into_bytes()
        });
        format!("v1,{}", BASE64_STANDARD.encode(signed.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that the libraries of the specification are tested with.
    #[test]
    fn a_delivery_is_signed_as_the_specification_has_it() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = secret.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_has_one_form_and_is_told_to_nobody() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        assert!(!format!("{secret:?}").contains("49"), "{secret:?}");
        let long = BASE64_STANDARD.encode([7; 65]);
        for wrong in [
            "",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_",
            "whsec_???",
            "whsec_c2hvcnQ=",
            &format!("whsec_{long}"),
        ] {
            assert!(Secret::parse(wrong).is_err(), "{wrong}");
        }
    }
}
