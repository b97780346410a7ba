//! Tokens of whoever calls.

use super::tokens::parsed;

/// A token is one of ours by its form, and then is what its parts make; two tokens of one id differ in their secrets alone.
///
/// # Panics
/// Where that is not so.
pub fn token(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some((id, secret)) = parsed(&text) {
        assert!(text.ends_with(secret));
        let written = format!("atelier_{}_{secret}", id.as_uuid().simple());
        assert_eq!(parsed(&written), Some((id, secret)));
    }
}

/// What a fuzzer begins with.
#[cfg(test)]
pub(crate) fn seeds() -> impl Iterator<Item = (String, Vec<u8>)> {
    let seeds = [
        ("token", "atelier_0190b7a85f6e7c3d8a2b1c0d9e8f7a6b_00ff"),
        ("operator", "atelier_operator_00ff"),
        (
            "hyphens",
            "atelier_0190b7a8-5f6e-7c3d-8a2b-1c0d9e8f7a6b_a_b",
        ),
    ];
    seeds
        .into_iter()
        .map(|(name, seed)| (name.to_owned(), seed.into()))
}
