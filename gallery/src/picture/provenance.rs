//! How a picture came about, as text in its file.

/// Keywords and texts that travel in the metadata of a picture's file, in their order.
///
/// PNG holds each as a text chunk of its own, so keywords are those of PNG: 1 to 79 Latin-1 characters without leading,
/// trailing or doubled spaces (PNG third edition, section 11.3.3.2). `Software` is one that programs know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance(Vec<(String, String)>);

impl Provenance {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more text. A zero byte, which ends texts in files, is left out.
    #[must_use]
    pub fn with(mut self, keyword: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into().replace('\0', "");
        self.0.push((keyword.into(), text));
        self
    }

    /// The keywords and texts.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
