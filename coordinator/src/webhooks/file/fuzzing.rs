//! Files of webhooks as operators write them.

use std::collections::BTreeSet;
use std::path::Path;

use super::{NAME_CHARACTERS_MAX, WEBHOOKS_MAX, of_text};

/// What the variable holds that files may name: the example of the specification.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A file gives webhooks with names of their own, which are fit for logs, at URLs that others cannot read along unless it
/// says so; or it is refused with what to do. Neither tells a secret.
///
/// # Panics
/// Where that is not so.
pub fn webhooks(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let variable = |name: &str| (name == "HOOK").then(|| SECRET.to_owned());
    let assert_hidden = |told: &str| {
        let base64 = SECRET.trim_start_matches("whsec_");
        assert!(text.contains(base64) || !told.contains(base64), "{told}");
    };
    let webhooks = match of_text(Path::new("no-folder/webhooks.toml"), text, variable) {
        Ok(webhooks) => webhooks,
        Err(error) => {
            let told = error.to_string();
            assert!(told.starts_with("--webhooks: no-folder/webhooks.toml"));
            assert!(told.contains("\nhint: "), "{told}");
            return assert_hidden(&told);
        }
    };
    assert!((1..=WEBHOOKS_MAX).contains(&webhooks.len()));
    let mut names = BTreeSet::new();
    for webhook in &webhooks {
        let letters = webhook.name.chars().count();
        assert!((1..=NAME_CHARACTERS_MAX).contains(&letters));
        assert!(!webhook.name.chars().any(char::is_control));
        assert!(names.insert(&webhook.name), "two are called alike");
        assert!(!webhook.events.is_empty());
        let theirs = webhook.submitters.as_ref();
        assert!(theirs.is_none_or(|names| !names.is_empty()));

        let url = webhook.url.expose();
        assert!(url.username().is_empty() && url.password().is_none());
        let host = url.host_str().unwrap_or_default();
        let is_local = host == "localhost" || host == "[::1]" || host.starts_with("127.");
        assert!(
            url.scheme() == "https" || is_local || text.contains("insecure"),
            "{url}"
        );
        // Not even the beginning of a path.
        let shown = format!("{:?}", webhook.url);
        assert!(shown.ends_with("/…") && shown.matches('/').count() == 3);
        assert_hidden(&format!("{webhook:?}"));
    }
}

/// What a fuzzer begins with.
#[cfg(test)]
pub(crate) fn seeds() -> impl Iterator<Item = (String, Vec<u8>)> {
    let seeds = [
        (
            "three.toml",
            "[[webhook]]\nurl = \"https://hooks.example.com:8443/T0?key=1\"\nsecret_env = \"HOOK\"\n\
             [[webhook]]\nname = \"ann's\"\nurl = \"http://127.0.0.1:9000/\"\nsecret_env = \"HOOK\"\n\
             events = [\"grid.failed\", \"grid.cancelled\"]\nsubmitters = [\"ann\"]\n\
             [[webhook]]\nurl = \"http://studio:81/\"\nsecret_env = \"HOOK\"\ninsecure = true\n",
        ),
        (
            "file.toml",
            "[[webhook]]\nurl = \"https://a/\"\nsecret_file = \"secret\"\n",
        ),
        (
            "inline.toml",
            "webhook = [{ url = \"http://[::1]/\", secret_env = \"HOOK\" }]\n",
        ),
    ];
    seeds
        .into_iter()
        .map(|(name, seed)| (name.to_owned(), seed.into()))
}
