//! Waits until an operation on a stack has ended, and tells how it gets on: on a terminal in one live line, else in lines.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

use super::events::{News, Progress};
use super::stack::{Stack, Standing};
use super::{Cloud, CloudError};
use crate::error::Error;
use crate::interrupt::unless_interrupted;
use crate::printer::{Printer, Tone};
use crate::text::printable;

/// How long AWS may be out of reach while an operation is waited for.
const ABSENCE_MAX: Duration = Duration::from_mins(5);
/// How often the elapsed time is drawn anew.
const TICK_INTERVAL: Duration = Duration::from_millis(250);

/// What is done with a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// It comes about.
    Making,
    /// It becomes another.
    Changing,
    /// It goes.
    Removing,
}

impl Doing {
    /// For what comes from CloudFormation.
    pub fn of(status: &str) -> Self {
        if status.starts_with("DELETE") {
            Self::Removing
        } else if status.starts_with("UPDATE") {
            Self::Changing
        } else {
            Self::Making
        }
    }

    fn now(self) -> &'static str {
        match self {
            Self::Making => "making",
            Self::Changing => "changing",
            Self::Removing => "removing",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Making => "made",
            Self::Changing => "changed",
            Self::Removing => "removed",
        }
    }

    /// Whether a stack that has settled is what it was to become.
    fn is_well(self, status: &str) -> bool {
        match self {
            // Who waits for what another one began takes what comes of it.
            Self::Making => matches!(status, "CREATE_COMPLETE" | "IMPORT_COMPLETE"),
            Self::Changing => status == "UPDATE_COMPLETE",
            Self::Removing => status == "DELETE_COMPLETE",
        }
    }

    fn hint(self, stack: &Stack) -> String {
        let name = &stack.name;
        match self {
            Self::Making => format!(
                "put that right, remove what is left with `atelier cloud down {name}`, and make it again"
            ),
            Self::Changing if stack.standing() == Standing::Ready => {
                "it is as it was before: put that right, and say the same again".to_owned()
            }
            Self::Changing => {
                "it could not be set back either: `aws cloudformation continue-update-rollback` tries again".to_owned()
            }
            Self::Removing => format!(
                "put that right, and say `atelier cloud down {name}` again; what is removed already stays so"
            ),
        }
    }
}

/// Waits with the means of one command.
#[derive(Debug)]
pub struct Waiting<'a> {
    /// AWS.
    pub cloud: &'a Cloud,
    /// Where it is told.
    pub printer: &'a Printer,
    /// The wish to end.
    pub shutdown: &'a CancellationToken,
    /// How often AWS is asked.
    pub poll_interval: Duration,
}

impl Waiting<'_> {
    /// Waits until the stack has settled; `after`: the last event before the operation.
    ///
    /// # Errors
    /// When it did not become what it was to. Ctrl-C ends the wait, and not the operation.
    pub async fn until_done(
        &self,
        id: &str,
        after: Option<&str>,
        doing: Doing,
    ) -> Result<Stack, Error> {
        let (stack, progress) = self.until_settled(id, after, doing).await?;
        if doing.is_well(&stack.status) {
            return Ok(stack);
        }
        Err(Error::from(CloudError::NotDone {
            hint: doing.hint(&stack),
            what: doing.done(),
            first: progress.first_failure().cloned().map(Box::new),
            name: stack.name,
            status: stack.status,
        }))
    }

    /// Waits until the stack has settled, whatever comes of it.
    pub async fn until_settled(
        &self,
        id: &str,
        after: Option<&str>,
        doing: Doing,
    ) -> Result<(Stack, Progress), Error> {
        let line = self.line(doing);
        let waiting = Box::pin(self.watch(id, after, line.as_ref()));
        let otherwise = format!(
            "AWS goes on {} the stack; see it with `atelier cloud status`",
            doing.now()
        );
        let settled = unless_interrupted(self.shutdown, &otherwise, waiting).await;
        if let Some(line) = line {
            line.finish_and_clear();
        }
        settled
    }

    async fn watch(
        &self,
        id: &str,
        after: Option<&str>,
        line: Option<&ProgressBar>,
    ) -> Result<(Stack, Progress), Error> {
        let mut progress = Progress::default();
        loop {
            // In this order, so that nothing that happened before the end is missed.
            let stack = patient(|| self.cloud.stack(id)).await?;
            let events = match &stack {
                Some(_) => patient(|| self.cloud.events(id, after)).await?,
                None => Vec::new(),
            };
            for news in progress.take(events) {
                self.tell(&news, line.is_some());
            }
            if let Some(line) = line {
                line.set_message(progress.line());
            }
            // Some while after it is gone, nothing is told of it.
            let stack = stack.unwrap_or_else(|| Stack {
                id: id.to_owned(),
                status: "DELETE_COMPLETE".to_owned(),
                ..Stack::default()
            });
            if stack.standing() != Standing::Busy {
                return Ok((stack, progress));
            }
            tokio::time::sleep(self.poll_interval).await;
        }
    }

    fn line(&self, doing: Doing) -> Option<ProgressBar> {
        let bars = self.printer.bars()?;
        let line = bars.add(ProgressBar::new_spinner());
        let style = ProgressStyle::with_template("{spinner} {prefix}  {msg}  {elapsed} gone");
        line.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        line.set_prefix(doing.now());
        line.enable_steady_tick(TICK_INTERVAL);
        Some(line)
    }

    fn tell(&self, news: &News, has_line: bool) {
        match news {
            // The live line says as much.
            News::Done(_) if has_line => {}
            News::Done(text) => self.printer.say(&printable(text)),
            News::Failed(text) => {
                let mark = self.printer.tint(Tone::Bad, "failed");
                self.printer.say(&format!("{mark} {}", printable(text)));
            }
        }
    }
}

/// Asks again while AWS wants fewer calls or is out of reach, for some minutes.
async fn patient<T, Asked>(ask: impl Fn() -> Asked) -> Result<T, CloudError>
where
    Asked: Future<Output = Result<T, CloudError>>,
{
    let backoff = ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(Duration::from_secs(1))
        .with_max_delay(Duration::from_secs(20))
        .with_total_delay(Some(ABSENCE_MAX))
        .without_max_times();
    ask.retry(backoff).when(CloudError::is_passing).await
}
