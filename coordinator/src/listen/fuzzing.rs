//! Certificates of whoever calls. TLS has checked who signed them; what they say is still anybody's.

use super::certificate::{expires_at, holder, next_update};

/// Longest text of an error, which goes into logs and statuses, bytes.
const ERROR_BYTES_MAX: usize = 1_000;

/// A certificate names one holder, who is read as it was written and whose name is fit for commands and logs, or nobody, in few
/// words.
///
/// # Panics
/// Where that is not so.
pub fn certificate(bytes: &[u8]) {
    let _ = expires_at(bytes);
    let _ = next_update(bytes);
    match holder(bytes) {
        Ok(holder) => {
            assert_eq!(holder.to_string().parse(), Ok(holder.clone()));
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            let name = holder.name();
            assert!((1..=64).contains(&name.len()) && name.bytes().all(is_plain));
        }
        Err(error) => {
            let told = error.to_string();
            assert!(told.len() <= ERROR_BYTES_MAX, "{} bytes", told.len());
            let moves = |letter: char| letter.is_control() && letter != '\n';
            assert!(!told.chars().any(moves), "{told:?}");
        }
    }
}

/// What a fuzzer begins with.
#[cfg(test)]
pub(crate) fn seeds() -> Vec<(String, Vec<u8>)> {
    use rcgen::{CertificateParams, KeyPair, SanType};

    let made = |uris: &[&str]| {
        let mut params = CertificateParams::default();
        let uris = uris.iter();
        params.subject_alt_names = uris
            .map(|uri| SanType::URI((*uri).try_into().unwrap()))
            .collect();
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    };
    let long = format!("urn:atelier:{}:a", "r".repeat(2_000));
    let seeds = [
        ("node", made(&["urn:atelier:node:studio-1"])),
        (
            "two",
            made(&["urn:atelier:client:ann", "urn:atelier:operator:bob"]),
        ),
        ("other", made(&["https://a.example/ann"])),
        ("none", made(&[])),
        ("long-role", made(&[&long])),
    ];
    let seeds = seeds.into_iter();
    seeds.map(|(name, seed)| (name.to_owned(), seed)).collect()
}
