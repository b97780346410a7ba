//! What files are called.

/// The name of a file: 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct FileName(String);

impl FileName {
    pub(super) fn random() -> Self {
        Self(uuid::Uuid::new_v4().simple().to_string())
    }

    /// `None` for anything that is not one of our names, so that no index can lead out of the folder.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let ours = name.len() == 32
            && name
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        ours.then(|| Self(name.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_names_are_names() {
        let name = FileName::random();
        assert_eq!(FileName::parse(name.as_str()), Some(name));
        assert_eq!(FileName::parse("../../../../../../../etc/passwd0"), None);
        assert_eq!(FileName::parse("ABCDEF00ABCDEF00ABCDEF00ABCDEF00"), None);
        assert_eq!(FileName::parse(""), None);
    }
}
