//! A yes before what cannot be undone.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use crate::error::Error;
use crate::printer::Printer;

/// An answer is a word; more than this is none.
const ANSWER_BYTES_MAX: u64 = 1024;

/// Whether somebody sits there who can be asked.
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks, and waits for the answer. Anything but a yes is a no, and so is the end of the input.
pub async fn confirmed(printer: &Printer, question: &str) -> Result<bool, Error> {
    printer.question(&format!("{question} [y/N]"));
    // A thread that still waits for a line does not hold up an interrupted program.
    let reading = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        let mut stdin = io::stdin().lock().take(ANSWER_BYTES_MAX);
        stdin.read_line(&mut answer).map(|_| answer)
    });
    let answer = reading.await.map_err(io::Error::other).flatten();
    let answer = answer.map_err(|cause| Error::System {
        what: "to read from the terminal",
        cause,
    })?;
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    let answer = answer.trim();
    answer.eq_ignore_ascii_case("y") || answer.eq_ignore_ascii_case("yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        for yes in ["y\n", "Y\n", "yes\r\n", " YES "] {
            assert!(is_yes(yes), "{yes:?}");
        }
        for no in ["", "\n", "n\n", "yesterday\n", "y n\n"] {
            assert!(!is_yes(no), "{no:?}");
        }
    }
}
