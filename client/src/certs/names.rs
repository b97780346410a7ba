//! What a coordinator may be called by.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use rcgen::SanType;

/// Longest host name, characters: <https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4>.
const NAME_CHARACTERS_MAX: usize = 253;
const LABEL_CHARACTERS_MAX: usize = 63;

/// A host name, which may begin with `*.`, or an IP address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostName {
    /// A name.
    Dns(String),
    /// An address.
    Address(IpAddr),
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl FromStr for HostName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse() {
            return Ok(Self::Address(address));
        }
        let is_label = |label: &str| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            (1..=LABEL_CHARACTERS_MAX).contains(&label.len())
                && label.bytes().all(fits)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let name = text.strip_prefix("*.").unwrap_or(text);
        if text.len() <= NAME_CHARACTERS_MAX && name.split('.').all(is_label) {
            Ok(Self::Dns(text.to_ascii_lowercase()))
        } else {
            Err("name a host or an address alone, without https:// and port, as in studio.lan or 10.0.0.7".to_owned())
        }
    }
}

impl HostName {
    /// As it stands in a certificate.
    pub(super) fn in_certificate(&self) -> Result<SanType, rcgen::Error> {
        Ok(match self {
            Self::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
            Self::Address(address) => SanType::IpAddress(*address),
        })
    }

    /// As it stands in the name of a file.
    pub(super) fn in_file_name(&self) -> String {
        self.to_string().replace(['*', ':'], "_")
    }

    /// As it stands in a URL.
    pub fn in_url(&self) -> String {
        match self {
            Self::Address(address @ IpAddr::V6(_)) => format!("[{address}]"),
            other => other.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_addresses_are_names_and_urls_are_not() {
        let in_url = |text: &str| text.parse::<HostName>().map(|name| name.in_url());
        for (text, url) in [
            ("studio", "studio"),
            ("Studio-1.Lan", "studio-1.lan"),
            ("*.lan", "*.lan"),
            ("10.0.0.7", "10.0.0.7"),
            ("::1", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(in_url(text).as_deref(), Ok(url), "{text}");
        }
        let long = "a".repeat(64);
        for text in [
            "",
            "https://studio",
            "studio:7878",
            "stu dio",
            "-a",
            "a-",
            "a..b",
            "a.*",
            "é",
            "../a",
            &long,
        ] {
            assert!(in_url(text).is_err(), "{text}");
        }
        let file = |text: &str| text.parse::<HostName>().unwrap().in_file_name();
        assert_eq!([file("*.lan"), file("::1")], ["_.lan", "__1"]);
    }
}
