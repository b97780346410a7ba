//! What the commands that speak with a coordinator share.

use tokio_util::sync::CancellationToken;

use crate::coordinator::Coordinator;
use crate::error::Error;
use crate::interrupt;
use crate::printer::Printer;

/// The printer, the coordinator, and the wish to end.
#[derive(Debug, Clone)]
pub struct Context {
    /// Where words and data go.
    pub printer: Printer,
    /// Who is asked.
    pub coordinator: Coordinator,
    /// Cancelled on Ctrl-C and its kin.
    pub shutdown: CancellationToken,
}

impl Context {
    /// Does `work` unless Ctrl-C comes first; then the command ends, saying what became of it.
    pub async fn unless_interrupted<T>(
        &self,
        otherwise: &str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        interrupt::unless_interrupted(&self.shutdown, otherwise, work).await
    }
}
