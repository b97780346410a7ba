//! Errors, and what caused them, in words.

use std::error::Error;

/// An error with its causes, as one line.
pub(crate) fn all(error: &dyn Error) -> String {
    let mut text = error.to_string();
    for cause in std::iter::successors(error.source(), |&cause| cause.source()) {
        let further = cause.to_string();
        if !text.contains(&further) {
            text = format!("{text}: {further}");
        }
    }
    text
}

/// The innermost cause says what happened; those around it say that something did.
pub(crate) fn root(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string)
}
