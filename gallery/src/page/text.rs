//! Texts and numbers as they stand in HTML.

use std::fmt::{self, Write as _};

use atelier_proto::settings::SettingsPatch;

use crate::manifest::PictureEntry;

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

/// A relative path as the value of `href` or `src`. It cannot become a URL of another kind, because its colons are
/// encoded.
pub(super) struct Link<'a>(pub(super) &'a str);

impl fmt::Display for Link<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.trim_start_matches('/').bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/') {
                f.write_char(char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
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

/// A number to three significant digits.
pub(super) struct Rounded(pub(super) f64);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.abs();
        if magnitude == 0.0 {
            f.write_str("0")
        } else if (1e-3..1e6).contains(&magnitude) {
            let decimals = (2.0 - magnitude.log10().floor()).max(0.0) as usize;
            write!(f, "{:.decimals$}", self.0)
        } else {
            write!(f, "{:.2e}", self.0)
        }
    }
}

/// What a picture is and how it was made, on two lines, as the value of a quoted attribute.
pub(super) struct Making<'a>(pub(super) &'a str, pub(super) &'a PictureEntry);

impl fmt::Display for Making<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(subject, picture) = self;
        write!(
            f,
            "{}\n{} × {}, {} evaluations, by {} ({}, {})",
            Escaped(subject),
            picture.width,
            picture.height,
            picture.evaluations,
            Escaped(&picture.node),
            Escaped(&picture.network),
            Escaped(&picture.device)
        )
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
    fn numbers_are_short() {
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
        let numbers = [0.0, 0.012_345, 1.0, 12.345, 123_456.0, 1.5e7, 2e-9];
        assert_eq!(
            numbers.map(|number| Rounded(number).to_string()),
            ["0", "0.0123", "1.00", "12.3", "123456", "1.50e7", "2.00e-9"]
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
            links.map(|link| Link(link).to_string()),
            [
                "pictures/a--b.jpg",
                "javascript%3Aalert%281%29",
                "example.com/%22x"
            ]
        );
    }
}
