//! Removes the checkpoints and previews of cells that have ended.
//!
//! Nodes remove those of the cells that they finish. What is left is of cells that failed, that were cancelled while
//! nobody held them, or whose node died at the last moment. What a node puts later still, with a request that was signed before,
//! is the collector's.

use std::collections::HashSet;

use atelier_gallery::bucket::{Bucket, BucketError};
use atelier_gallery::keys::GridKeys;
use futures::{StreamExt as _, TryStreamExt as _};

use crate::domain::facts::GridFacts;
use crate::domain::summary::Changes;

/// Objects removed at once.
const REMOVALS_MAX: usize = 16;

/// Removes the checkpoints and previews of a grid that are of no more use. One that cannot be removed is told in the log: it takes
/// room, and no gallery waits for that.
pub(super) async fn sweep(bucket: &Bucket, facts: &GridFacts, changes: &Changes) {
    let grid = changes.summary.grid;
    match remove_useless(bucket, facts, changes).await {
        Ok(0) => {}
        Ok(removed) => {
            tracing::info!(%grid, removed, "removed checkpoints and previews of ended cells");
        }
        Err(error) => {
            tracing::warn!(%grid, %error, "checkpoints or previews of ended cells stay in the bucket");
        }
    }
}

async fn remove_useless(
    bucket: &Bucket,
    facts: &GridFacts,
    changes: &Changes,
) -> Result<usize, BucketError> {
    let keys = GridKeys::new(changes.summary.grid);
    let mut listed = bucket.list(&keys.checkpoints()).await?;
    listed.extend(bucket.list(&keys.previews()).await?);
    if listed.is_empty() {
        return Ok(0);
    }
    let of_use = of_use(facts, changes);
    let useless = listed
        .into_iter()
        .map(|object| object.key)
        .filter(|key| !of_use.contains(key));
    let removals = useless.map(|key| async move { bucket.delete(&key).await.map(|()| 1) });
    futures::stream::iter(removals)
        .buffer_unordered(REMOVALS_MAX)
        .try_fold(0, |sum, one| async move { Ok(sum + one) })
        .await
}

/// Keys that some attempt may go on from, or is about to write.
fn of_use(facts: &GridFacts, changes: &Changes) -> HashSet<String> {
    let open = changes.cells.iter().filter(|it| !it.cell.has_ended());
    let positions = open.filter_map(|record| facts.position(record.id.place));
    positions
        .flat_map(|position| {
            let names = &facts.names;
            [names.checkpoint(position), names.preview(position)]
        })
        .flatten()
        .collect()
}
