//! What lies in a grid's place in the bucket.

use std::collections::HashSet;

use atelier_gallery::bucket::{Bucket, BucketError};
use atelier_gallery::keys::GridKeys;
use atelier_proto::ids::GridId;
use futures::{StreamExt as _, TryStreamExt as _};

use super::CollectError;
use crate::domain::cell::Cell;
use crate::domain::facts::GridFacts;
use crate::domain::summary::Changes;
use crate::ledger::Ledger;

/// Objects removed at once.
const REMOVALS_MAX: usize = 16;

/// Removes everything of a grid; how many objects that were. The manifest goes first: what is left after an interruption is
/// no gallery.
pub(super) async fn remove_all(bucket: &Bucket, grid: GridId) -> Result<usize, BucketError> {
    let keys = GridKeys::new(grid);
    let listed = bucket.list(&keys.prefix()).await?;
    bucket.delete(&keys.manifest()).await?;
    remove(bucket, listed.into_iter().map(|object| object.key)).await
}

/// Removes what an ended grid does not refer to; how many objects that were.
pub(super) async fn remove_orphans(
    ledger: &Ledger,
    bucket: &Bucket,
    grid: GridId,
) -> Result<usize, CollectError> {
    let store = ledger.store();
    let facts = ledger.facts(grid).await?;
    let changes = store.changes(grid, 0).await?;
    let sequence = changes.summary.sequence;
    let wanted = referred_to(&facts, &changes);
    let listed = bucket.list(&GridKeys::new(grid).prefix()).await?;
    let keys = listed.into_iter().map(|object| object.key);
    let orphans: Vec<String> = keys.filter(|key| !wanted.contains(key)).collect();
    let mut removed = 0;
    for some in orphans.chunks(REMOVALS_MAX) {
        // Somebody may have had cells tried again meanwhile, whose pictures would be these.
        if store.summary(grid).await?.sequence != sequence {
            return Ok(removed);
        }
        removed += remove(bucket, some.iter().cloned()).await?;
    }
    store.swept(grid, sequence).await?;
    Ok(removed)
}

/// Removes objects; how many those were.
pub(super) async fn remove(
    bucket: &Bucket,
    keys: impl Iterator<Item = String>,
) -> Result<usize, BucketError> {
    let removals = keys.map(|key| async move { bucket.delete(&key).await.map(|()| 1) });
    futures::stream::iter(removals)
        .buffer_unordered(REMOVALS_MAX)
        .try_fold(0, |sum, one| async move { Ok(sum + one) })
        .await
}

/// The keys of everything that belongs to a grid that has ended.
fn referred_to(facts: &GridFacts, changes: &Changes) -> HashSet<String> {
    let keys = GridKeys::new(facts.grid);
    let mut wanted = HashSet::from([keys.manifest(), keys.page(), keys.contact_sheet()]);
    let done = changes
        .cells
        .iter()
        .filter(|record| matches!(record.cell, Cell::Done { .. }));
    for record in done {
        if let Some(keys) = facts.keys(record.id.place) {
            wanted.extend([keys.picture, keys.thumbnail, keys.large_thumbnail]);
            wanted.extend(keys.photo_original);
            wanted.extend(keys.artist_original);
        }
    }
    wanted
}
