//! Whose a grid is: the one check of every call that names one, by gRPC and at the board.

use atelier_proto::ids::GridId;

use crate::domain::access::Caller;
use crate::ledger::Ledger;
use crate::store::StoreError;

/// Lets a caller see and touch a grid, as far as its role lets it.
///
/// # Errors
/// When there is no such grid, or it is somebody else's, which a client is told in the same words: that there is none.
pub async fn own(ledger: &Ledger, grid: GridId, caller: &Caller) -> Result<(), StoreError> {
    if caller.confined_to().is_none() {
        return Ok(());
    }
    let submitter = ledger.submitter(grid).await?;
    if caller.reaches(&submitter) {
        Ok(())
    } else {
        Err(StoreError::UnknownGrid(grid))
    }
}
