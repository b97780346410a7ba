//! Inputs that no grid refers to.

use std::collections::HashSet;

use atelier_gallery::bucket::Bucket;
use atelier_gallery::keys::input_key;
use jiff::Timestamp;

use super::{CollectError, objects};
use crate::ledger::Ledger;
use crate::store::Filter;

/// Where inputs lie.
const PREFIX: &str = "inputs/";
/// Grids read at once.
const PAGE_GRIDS: u32 = 100;

/// Removes inputs that were put before a time and that no grid refers to.
///
/// A client that submits again what was put long ago may find its input gone between its look and its call; the call then
/// says which one, and the client puts it anew. A call that comes between the look at the grids and the removal is taken, and
/// its cells fail for want of the input; they can be tried again once it was put anew.
pub(super) async fn remove_unused(
    ledger: &Ledger,
    bucket: &Bucket,
    put_before: Timestamp,
) -> Result<(), CollectError> {
    // Listed first: what comes to be referred to afterwards is found in the grids.
    let listed = bucket.list(PREFIX).await?;
    let old: Vec<String> = listed
        .into_iter()
        .filter(|object| object.put_at.is_some_and(|put_at| put_at < put_before))
        .map(|object| object.key)
        .collect();
    if old.is_empty() {
        return Ok(());
    }
    let used = used(ledger).await?;
    let unused = old.into_iter().filter(|key| !used.contains(key));
    let removed = objects::remove(bucket, unused).await?;
    if removed > 0 {
        tracing::info!(removed, "removed inputs that no grid refers to");
    }
    Ok(())
}

async fn used(ledger: &Ledger) -> Result<HashSet<String>, CollectError> {
    let mut used = HashSet::new();
    let mut before = None;
    loop {
        let grids = ledger
            .store()
            .grids(&Filter::default(), before, PAGE_GRIDS)
            .await?;
        let Some(last) = grids.last() else {
            return Ok(used);
        };
        before = Some(last.grid);
        for summary in &grids {
            let spec = ledger.store().spec(summary.grid).await?;
            let inputs = spec.inputs().into_iter();
            used.extend(inputs.map(|(sha256, _)| input_key(&sha256)));
        }
    }
}
