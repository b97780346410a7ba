//! Texts and numbers as they stand in HTML.

use std::fmt::{self, Write as _};

use atelier_proto::settings::SettingsPatch;

/// A text of anybody's, as HTML text or as the value of a quoted attribute.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // HTML has no way to write most control characters.
                control if control.is_control() && control != '\n' => f.write_str("\u{FFFD}")?,
                plain => f.write_char(plain)?,
            }
        }
        Ok(())
    }
}

/// A name that people gave. It may be of either direction and must not turn what stands beside it.
pub(super) struct Name<'a>(pub(super) &'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<bdi>{}</bdi>", Escaped(self.0))
    }
}

/// A path as a relative link. It cannot become a URL of another kind, because its colons are encoded.
pub(super) fn relative(path: &str) -> String {
    let mut link = String::with_capacity(path.len());
    for byte in path.trim_start_matches('/').bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/') {
            link.push(char::from(byte));
        } else {
            let _ = write!(link, "%{byte:02X}");
        }
    }
    link
}

/// A span of time, to two units at most.
pub(super) struct Seconds(pub(super) f64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.is_finite() || self.0 < 0.0 {
            return f.write_str("unknown time");
        }
        if self.0 < 9.95 {
            return write!(f, "{:.1} s", self.0);
        }
        let seconds = self.0.round() as u64;
        match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
            (0, 0, seconds) => write!(f, "{seconds} s"),
            (0, minutes, 0) => write!(f, "{minutes} min"),
            (0, minutes, seconds) => write!(f, "{minutes} min {seconds} s"),
            (hours, 0, _) => write!(f, "{hours} h"),
            (hours, minutes, _) => write!(f, "{hours} h {minutes} min"),
        }
    }
}

/// "1 photo", "2 photos".
pub(super) struct Count(pub(super) usize, pub(super) &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, what) = self;
        write!(f, "{count} {what}{}", if *count == 1 { "" } else { "s" })
    }
}

/// What a patch sets, as people write it: a setting and its value each.
pub(super) fn settings(patch: &SettingsPatch) -> Vec<(String, String)> {
    let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(patch) else {
        return Vec::new();
    };
    let pairs = fields.into_iter().map(|(key, value)| {
        let value = match value {
            serde_json::Value::String(text) => text,
            serde_json::Value::Object(weights) if weights.is_empty() => {
                "the network's own".to_owned()
            }
            serde_json::Value::Object(weights) => {
                let weights = weights
                    .iter()
                    .map(|(layer, weight)| format!("{layer}:{weight}"));
                weights.collect::<Vec<_>>().join(", ")
            }
            other => other.to_string(),
        };
        (key, value)
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        let seconds = [0.04, 9.94, 9.96, 59.4, 59.7, 61.5, 3600.0, 3725.0, f64::NAN];
        assert_eq!(
            seconds.map(|seconds| Seconds(seconds).to_string()),
            [
                "0.0 s",
                "9.9 s",
                "10 s",
                "59 s",
                "1 min",
                "1 min 2 s",
                "1 h",
                "1 h 2 min",
                "unknown time"
            ]
        );
    }

    #[test]
    fn a_link_stays_below_the_page() {
        let links = [
            "pictures/a--b.jpg",
            "javascript:alert(1)",
            "//example.com/\"x",
        ];
        assert_eq!(
            links.map(relative),
            [
                "pictures/a--b.jpg",
                "javascript%3Aalert%281%29",
                "example.com/%22x"
            ]
        );
    }
}
