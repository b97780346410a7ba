//! A yes before what cannot be undone.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::printer::Printer;

/// An answer is a word; more than this is none.
const ANSWER_BYTES_MAX: u64 = 1024;

/// Sees to it that somebody sits there who can be asked.
///
/// # Errors
/// When nobody does.
pub fn check_somebody_is_there(command: &'static str) -> Result<(), Error> {
    if io::stdin().is_terminal() && io::stderr().is_terminal() {
        Ok(())
    } else {
        Err(Error::NobodyToAsk { command })
    }
}

/// Asks, and goes on after a yes alone: anything else is a no, and so is the end of the input.
///
/// # Errors
/// After a no, or Ctrl-C, the command ends and says `otherwise`, as in `nothing was deleted`.
pub async fn confirm(
    printer: &Printer,
    shutdown: &CancellationToken,
    question: &str,
    otherwise: &str,
) -> Result<(), Error> {
    printer.question(&format!("{question} [y/N]"));
    let Some(answer) = shutdown.run_until_cancelled(answer()).await else {
        // On a line below the question.
        return Err(Error::Interrupted(format!("\ninterrupted: {otherwise}")));
    };
    if is_yes(&answer?) {
        Ok(())
    } else {
        Err(Error::Interrupted(otherwise.to_owned()))
    }
}

async fn answer() -> Result<String, Error> {
    // A thread that still waits for a line does not hold up an interrupted program.
    let reading = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        let mut stdin = io::stdin().lock().take(ANSWER_BYTES_MAX);
        stdin.read_line(&mut answer).map(|_| answer)
    });
    let answer = reading.await.map_err(io::Error::other).flatten();
    answer.map_err(|cause| Error::System {
        what: "to read from the terminal",
        cause,
    })
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
