//! Values of options that are more than a number or a path.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

/// A length in bytes, written with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSize(u64);

/// A text that is no length in bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no size: write a number above 0 and kB, MB, GB, KiB, MiB or GiB, as in 8GB")]
pub struct MalformedSize {
    text: String,
}

impl ByteSize {
    /// Bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = MalformedSize;

    fn from_str(text: &str) -> Result<Self, MalformedSize> {
        let malformed = || MalformedSize {
            text: text.chars().take(80).collect(),
        };
        let digits_end = text
            .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(digits_end);
        let unit = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1.0,
            "kb" => 1_000.0,
            "mb" => 1_000_000.0,
            "gb" => 1_000_000_000.0,
            "kib" => 1_024.0,
            "mib" => 1_048_576.0,
            "gib" => 1_073_741_824.0,
            _ => return Err(malformed()),
        };
        let number: f64 = number.parse().map_err(|_| malformed())?;
        let bytes = (number * unit).round();
        // Above 2^53 a float no longer holds every byte, and no device has so many.
        if (1.0..=9e15).contains(&bytes) {
            Ok(Self(bytes as u64))
        } else {
            Err(malformed())
        }
    }
}

/// `--painting`: a file, and its share in the artist's style.
#[derive(Debug, Clone, PartialEq)]
pub struct PaintingArg {
    /// The file.
    pub path: PathBuf,
    /// Above 0; relative to its siblings.
    pub weight: f64,
}

/// A share that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the share {share} of {file} is out of range: it must be above 0 and at most 1e9")]
pub struct MalformedShare {
    file: String,
    share: String,
}

/// Largest share of a painting.
const SHARE_MAX: f64 = 1e9;

impl FromStr for PaintingArg {
    type Err = MalformedShare;

    fn from_str(text: &str) -> Result<Self, MalformedShare> {
        let share = text
            .rsplit_once(':')
            .and_then(|(file, share)| Some((file, share, share.parse::<f64>().ok()?)));
        let Some((file, share, weight)) = share else {
            return Ok(Self {
                path: text.into(),
                weight: 1.0,
            });
        };
        if weight > 0.0 && weight <= SHARE_MAX {
            let path = file.into();
            Ok(Self { path, weight })
        } else {
            let (file, share) = (file.to_owned(), share.to_owned());
            Err(MalformedShare { file, share })
        }
    }
}

/// `--mask`: a file, or the whole photo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MaskArg {
    /// The painting applies wherever others do not say otherwise.
    Everywhere,
    /// White where the painting applies.
    File(PathBuf),
}

impl FromStr for MaskArg {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "everywhere" => Self::Everywhere,
            file => Self::File(file.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let bytes = |text: &str| text.parse().map(ByteSize::bytes);
        assert_eq!(bytes("8GB"), Ok(8_000_000_000));
        assert_eq!(bytes("1.5 GiB"), Ok(3 << 29));
        assert_eq!(bytes("512MiB"), Ok(512 << 20));
        assert_eq!(bytes("1000"), Ok(1000));
        for wrong in [
            "",
            "GB",
            "0",
            "-1GB",
            "8 parsecs",
            "1.2.3kB",
            "1e9",
            "99999999999GB",
        ] {
            let error = bytes(wrong).unwrap_err().to_string();
            assert!(error.contains("8GB"), "{error}");
        }
    }

    #[test]
    fn a_painting_may_have_a_share_and_a_colon_in_its_name() {
        let painting = |text: &str| text.parse::<PaintingArg>();
        let expected = |path: &str, weight| {
            let path = path.into();
            Ok(PaintingArg { path, weight })
        };
        assert_eq!(painting("a.png"), expected("a.png", 1.0));
        assert_eq!(painting("a.png:2.5"), expected("a.png", 2.5));
        assert_eq!(painting("night:one.png"), expected("night:one.png", 1.0));
        assert_eq!(painting("night:2:1"), expected("night:2", 1.0));
        for wrong in ["a.png:0", "a.png:-1", "a.png:nan", "a.png:inf", "a.png:2e9"] {
            assert!(painting(wrong).is_err(), "{wrong}");
        }
    }
}
