//! Goal: what a node has rendered of a cell outlives the node, and what is kept of it is gone with the cell's end.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use atelier_gallery::bucket::Bucket;
use atelier_gallery::keys::GridKeys;
use atelier_proto::v1::{self, CellState};
use atelier_tests::cluster::Cluster;
use atelier_tests::metrics::{scrape, served_at};
use atelier_tests::pictures;
use atelier_tests::programs::{PATIENCE, Running};
use rustix::process::Signal;

/// The largest checkpoint of these tests, bytes.
const BYTES_MAX: u64 = 1 << 26;

/// Submits a grid of so many photos and one artist whose cells take some seconds each.
pub(crate) async fn submit(
    cluster: &Cluster,
    folder: &Path,
    photos: u32,
    iterations: u32,
) -> anyhow::Result<String> {
    pictures::grid(folder, photos, 1)?;
    let iterations = format!("iterations={iterations}");
    let settings = ["size=32", "scales=1", "history=4", &iterations];
    let set = settings.into_iter().flat_map(|setting| ["--set", setting]);
    cluster.submit(folder, &set.collect::<Vec<_>>()).await
}

/// The key of the checkpoint of the photo with this number.
fn key(grid: &str, photo: u32) -> anyhow::Result<String> {
    let keys = GridKeys::new(grid.parse()?);
    Ok(keys.checkpoint(&format!("photo-{photo}--artist-0")))
}

/// Asks again and again until there is something, or there is nothing.
async fn eventually<T>(
    what: &str,
    mut ask: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let asking = async {
        loop {
            if let Some(found) = ask().await? {
                return Ok(found);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, asking).await;
    found.with_context(|| format!("never saw {what}"))?
}

/// The first line that a node logs with these words.
async fn logged(node: &Running, words: &str) -> anyhow::Result<String> {
    let asking = eventually(words, async || {
        let log = node.log();
        let line = log.lines().find(|line| line.contains(words));
        Ok(line.map(str::to_owned))
    });
    asking.await.with_context(|| node.log())
}

/// Evaluations that a checkpoint has behind it: safetensors begin with the length of their JSON header.
fn evaluations_of(checkpoint: &[u8]) -> anyhow::Result<u32> {
    let (length, rest) = checkpoint.split_first_chunk().context("too short")?;
    let header = rest.get(..u64::from_le_bytes(*length) as usize);
    let header: serde_json::Value = serde_json::from_slice(header.context("too short")?)?;
    let evaluations = header["__metadata__"]["evaluations"].as_str();
    Ok(evaluations.context("no evaluations")?.parse()?)
}

/// The checkpoint that a node says it goes on from.
pub(crate) async fn resumed_at(node: &Running) -> anyhow::Result<u32> {
    let line = logged(node, "going on from a checkpoint").await?;
    let (_, evaluations) = line.split_once("evaluations=").context("no evaluations")?;
    let digits = evaluations.split(|it: char| !it.is_ascii_digit()).next();
    Ok(digits.context("no number")?.parse()?)
}

async fn no_checkpoint_is_left(bucket: &Bucket, grid: &str) -> anyhow::Result<()> {
    let prefix = GridKeys::new(grid.parse()?).checkpoints();
    eventually("the last checkpoint removed", async || {
        Ok(bucket.list(&prefix).await?.is_empty().then_some(()))
    })
    .await
}

fn is_rendering(cell: &v1::Cell) -> bool {
    cell.state() == CellState::Rendering && cell.evaluations > 0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cell_goes_on_where_a_killed_node_left_it() -> anyhow::Result<()> {
    const ITERATIONS: u32 = 400;
    let mut cluster = Cluster::coordinator().await?;
    let often = ["--checkpoint-interval", "300ms", "--batch", "1"];
    cluster.start_node_with(&often)?;
    let work = tempfile::tempdir()?;
    let grid = submit(&cluster, work.path(), 2, ITERATIONS).await?;
    let bucket = cluster.bucket().await?;
    let keys = [key(&grid, 0)?, key(&grid, 1)?];

    // Killed when it has left a checkpoint of the one cell, and has the other one in hand.
    let prepared = |answer: &v1::GetResponse| {
        let leased = answer.cells.iter().filter(|cell| cell.attempts == 1);
        (leased.count() == 2).then_some(())
    };
    cluster.until(&grid, "both cells leased", prepared).await?;
    // Whose inputs were there first is the first one.
    let left = eventually("a checkpoint", async || {
        for (number, key) in keys.iter().enumerate() {
            if bucket.head(key).await?.is_some() {
                return Ok(Some((number, bucket.get(key, BYTES_MAX).await?)));
            }
        }
        Ok(None)
    });
    let (begun, left) = left.await?;
    let [first, second] = [&keys[begun], &keys[1 - begun]];
    let left = evaluations_of(&left)?;
    assert!(left > 0);
    cluster.nodes[0].kill().await?;
    // Nobody can read what lies where the other cell's would be.
    let garbage = bytes::Bytes::from_static(b"half a checkpoint");
    bucket.put(second, garbage, "", None).await?;

    cluster.start_node_with(&often)?;
    let done = cluster
        .until(&grid, "the first cell done", |answer| {
            let cell = answer.cells.get(begun)?;
            (cell.state() == CellState::Done).then(|| cell.clone())
        })
        .await?;
    let resumed = resumed_at(&cluster.nodes[1]).await?;
    assert!(resumed >= left, "it went on at {resumed}, not {left}");
    assert_eq!(done.attempts, 2);
    let result = done.result.context("no result")?;
    assert_eq!(result.evaluations, ITERATIONS, "over both attempts");
    // The other cell is on its way, so the node alone removes what the first one needs no more.
    eventually("the first checkpoint removed", async || {
        Ok(bucket.head(first).await?.is_none().then_some(()))
    })
    .await?;

    // The other one is rendered from its start, and was warned of once.
    let is_done = cluster
        .until(&grid, "the other cell begun", |answer| {
            let cell = answer.cells.get(1 - begun)?;
            let is_done = cell.state() == CellState::Done;
            (is_done || is_rendering(cell)).then_some(is_done)
        })
        .await?;
    let log = cluster.nodes[1].log();
    assert_eq!(log.matches("a checkpoint of no use").count(), 1, "{log}");
    assert_eq!(log.matches("going on from").count(), 1, "{log}");

    if is_done {
        // The new node had the other one's inputs first.
        return no_checkpoint_is_left(&bucket, &grid).await;
    }
    // Cancelled when that one has a checkpoint of its own, which goes, with any that its node puts before it knows.
    eventually("a checkpoint in the place of the useless one", async || {
        let bytes = bucket.get(second, BYTES_MAX).await?;
        Ok(evaluations_of(&bytes).ok())
    })
    .await?;
    let cancel = ["cancel", &grid];
    cluster.atelier(work.path(), &cancel).await?.success()?;
    logged(&cluster.nodes[1], "stopped: the cell has ended").await?;
    no_checkpoint_is_left(&bucket, &grid).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_asked_to_leave_hands_back_what_it_has_rendered() -> anyhow::Result<()> {
    const ITERATIONS: u32 = 150;
    let mut cluster = Cluster::coordinator().await?;
    // So seldom that there is none but the one on leaving.
    let never = ["--checkpoint-interval", "1h", "--batch", "1"];
    cluster.start_node_with(&never)?;
    let work = tempfile::tempdir()?;
    let grid = submit(&cluster, work.path(), 2, ITERATIONS).await?;
    let bucket = cluster.bucket().await?;
    // Whose inputs were there first is rendered first.
    let (begun, prepared) = cluster
        .until(&grid, "one cell rendering and one prepared", |answer| {
            let is_leased = |cell: &v1::Cell| cell.state() == CellState::Leased;
            let [first, second] = answer.cells.as_slice() else {
                return None;
            };
            [(0, first, 1, second), (1, second, 0, first)]
                .into_iter()
                .find(|(_, begun, _, prepared)| is_rendering(begun) && is_leased(prepared))
                .map(|(begun, _, prepared, _)| (begun, prepared))
        })
        .await?;
    cluster.nodes[0].signal(Signal::TERM)?;
    assert!(cluster.nodes[0].wait().await?.success());
    let bytes = bucket.get(&key(&grid, begun)?, BYTES_MAX).await?;
    let left = evaluations_of(&bytes)?;
    assert!(left > 0);
    let answer = cluster.grid(&grid).await?;
    let is_queued = |cell: &v1::Cell| cell.state() == CellState::Queued;
    assert!(answer.cells.iter().all(is_queued), "at no cost");
    // As if another cell had left it there.
    bucket
        .put(&key(&grid, prepared)?, bytes.into(), "", None)
        .await?;

    let args = [&never[..], &["--metrics-listen", "127.0.0.1:0"]].concat();
    cluster.start_node_with(&args)?;
    let metrics = served_at(&mut cluster.nodes[1]).await?;
    let ended = cluster.until_done(&grid).await?;
    for cell in ended.cells {
        assert_eq!(cell.result.context("no result")?.evaluations, ITERATIONS);
    }
    assert_eq!(resumed_at(&cluster.nodes[1]).await?, left);
    // Of the one cell the rest, of the other one all.
    let made = &scrape(&metrics).await?["atelier_node_evaluations_total"];
    assert_eq!(made.parse::<u32>()?, 2 * ITERATIONS - left);
    let log = cluster.nodes[1].log();
    assert_eq!(log.matches("a checkpoint of no use").count(), 1, "{log}");
    no_checkpoint_is_left(&bucket, &grid).await
}
