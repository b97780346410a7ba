//! Goal: a grid goes the whole way, whatever happens to a node, and nothing of it is lost or made twice.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use atelier_gallery::keys::GridKeys;
use atelier_gallery::manifest::Manifest;
use atelier_proto::ids::Digest;
use atelier_proto::v1::{self, CellState, GridState};
use atelier_tests::cluster::Cluster;
use atelier_tests::pictures;
use atelier_tests::programs::PATIENCE;

/// Counts, from the first change to the last, how often each cell became done.
async fn count_completions(
    cluster: &Cluster,
    grid: &str,
) -> anyhow::Result<tokio::task::JoinHandle<anyhow::Result<BTreeMap<String, u32>>>> {
    let request = v1::WatchRequest {
        grid_id: grid.to_owned(),
        after_sequence: 0,
        summary_only: false,
    };
    let mut changes = cluster.grids().await?.watch(request).await?.into_inner();
    Ok(tokio::spawn(async move {
        let mut completions = BTreeMap::new();
        while let Some(change) = changes.message().await? {
            for cell in change.cells {
                if cell.state() == CellState::Done {
                    *completions.entry(cell.cell_id).or_default() += 1;
                }
            }
        }
        Ok(completions)
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_costs_a_grid_nothing() -> anyhow::Result<()> {
    let mut cluster = Cluster::with_nodes(2).await?;
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 3, 3)?;
    // So long that no cell can end between being seen and its node's death.
    let slow = [
        "--set",
        "size=64",
        "--set",
        "scales=1",
        "--set",
        "iterations=90",
    ];
    let grid = cluster.submit(work.path(), &slow).await?;
    let completions = count_completions(&cluster, &grid).await?;

    // The first cell that some node is in the midst of: that node dies.
    let (victim, cell) = cluster
        .until(&grid, "a cell being rendered", |answer| {
            let rendering = |cell: &&v1::Cell| cell.state() == CellState::Rendering;
            let cell = answer.cells.iter().find(rendering)?;
            Some((cell.node_id.clone(), cell.cell_id.clone()))
        })
        .await?;
    let node = cluster
        .nodes
        .iter_mut()
        .find(|node| node.log().contains(&victim))
        .context("no node's log names its id")?;
    node.kill().await?;

    let ended = cluster.until_complete(&grid).await?;
    let summary = ended.grid.as_ref().and_then(|grid| grid.summary.as_ref());
    let state = summary.map(v1::GridSummary::state);
    assert_eq!(state, Some(GridState::Finished));
    assert_eq!(ended.cells.len(), 9);
    for cell in &ended.cells {
        assert_eq!(cell.state(), CellState::Done, "{}", cell.failure);
    }
    let orphan = ended.cells.iter().find(|other| other.cell_id == cell);
    let orphan = orphan.context("a cell vanished")?;
    assert_eq!(orphan.attempts, 2, "the dead node's attempt counts");
    assert_ne!(orphan.node_id, victim);

    let completions = tokio::time::timeout(PATIENCE, completions).await???;
    assert_eq!(completions.len(), 9);
    assert!(
        completions.values().all(|count| *count == 1),
        "{completions:?}"
    );

    fetched_as_the_manifest_says(&cluster, work.path(), &grid).await
}

/// Fetches the gallery, twice, and compares every byte with `gallery.json` and with the bucket.
async fn fetched_as_the_manifest_says(
    cluster: &Cluster,
    work: &Path,
    grid: &str,
) -> anyhow::Result<()> {
    cluster
        .atelier(work, &["fetch", grid, "--out", "gallery"])
        .await?
        .success()?;
    let gallery = work.join("gallery");
    let manifest = Manifest::from_json(&std::fs::read(gallery.join("gallery.json"))?)?;
    assert!(manifest.complete);
    assert_eq!(manifest.cells.len(), 9);
    let bucket = cluster.bucket().await?;
    let prefix = GridKeys::new(grid.parse()?).prefix();
    let mut pictures = Vec::new();
    for cell in &manifest.cells {
        let picture = cell
            .outcome
            .picture
            .as_ref()
            .context("a done cell has a picture")?;
        let bytes = std::fs::read(gallery.join(&picture.path))?;
        assert_eq!(Digest::of(&bytes), picture.sha256);
        assert_eq!(bytes.len() as u64, picture.bytes);
        let decoded = image::load_from_memory(&bytes)?;
        assert_eq!(
            (decoded.width(), decoded.height()),
            (picture.width, picture.height)
        );
        assert_eq!((decoded.width(), decoded.height()), (64, 48));
        assert!(gallery.join(&picture.thumbnail).is_file());
        let stored = bucket
            .get(&format!("{prefix}{}", picture.path), 1 << 20)
            .await?;
        assert_eq!(stored, bytes);
        pictures.push(format!("{prefix}{}", picture.path));
    }
    // One picture a cell, and none that no cell knows.
    pictures.sort();
    let stored = bucket.list(&format!("{prefix}pictures/")).await?;
    let stored: Vec<String> = stored.into_iter().map(|object| object.key).collect();
    assert_eq!(stored, pictures);
    let page = std::fs::read_to_string(gallery.join("index.html"))?;
    for cell in &manifest.cells {
        let picture = cell.outcome.picture.as_ref().context("a picture")?;
        assert!(
            page.contains(&picture.path),
            "the page lacks {}",
            picture.path
        );
    }

    let picture = gallery.join(
        &manifest.cells[0]
            .outcome
            .picture
            .as_ref()
            .context("a picture")?
            .path,
    );
    let modified = std::fs::metadata(&picture)?.modified()?;
    cluster
        .atelier(work, &["fetch", grid, "--out", "gallery"])
        .await?
        .success()?;
    assert_eq!(
        std::fs::metadata(&picture)?.modified()?,
        modified,
        "fetched again for nothing"
    );
    std::fs::write(&picture, "damaged")?;
    cluster
        .atelier(work, &["fetch", grid, "--out", "gallery"])
        .await?
        .success()?;
    assert_ne!(
        std::fs::read(&picture)?,
        b"damaged",
        "a damaged picture is fetched anew"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grid_file_with_a_sweep_is_submitted_watched_listed_and_shown() -> anyhow::Result<()> {
    let cluster = Cluster::with_nodes(1).await?;
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 1, 2)?;
    let grid = r#"
        name = "Sweep of an afternoon"
        photos = ["photos/*.png"]

        [[artist]]
        name = "Both"
        paintings = ["artists/artist-0.png", "artists/artist-1.png"]
        weights = [2, 1]

        [artist.render]
        content_weight = 2

        [render]
        size = 48
        scales = 1
        iterations = 3

        [sweep]
        seed = [1, 2]
        start = ["noise", "photo"]
    "#;
    std::fs::write(work.path().join("sweep.toml"), grid)?;
    let waited = cluster
        .atelier(work.path(), &["submit", "sweep.toml", "--wait", "--json"])
        .await?
        .success()?;
    assert!(!waited.is_empty());
    let listed = cluster.atelier(work.path(), &["list"]).await?.success()?;
    assert!(listed.contains("Sweep of an afternoon"), "{listed}");
    let shown = cluster
        .atelier(work.path(), &["show", "Sweep of an afternoon"])
        .await?
        .success()?;
    for word in ["Both", "photo-0", "seed=1", "start=noise"] {
        assert!(shown.contains(word), "{word} is missing in {shown}");
    }
    let shown = cluster
        .atelier(work.path(), &["show", "Sweep of an afternoon", "--json"])
        .await?
        .json()?;
    assert_eq!(shown["cells"].as_array().map(Vec::len), Some(4), "{shown}");

    // Submitted again, the inputs are there already and nothing is sent twice.
    let again = cluster
        .atelier(
            work.path(),
            &[
                "submit",
                "sweep.toml",
                "--wait",
                "--name",
                "Again",
                "--json",
            ],
        )
        .await?;
    assert_eq!(again.code(), Some(0), "{}", again.stderr);
    let line = again.stdout.lines().next().context("it printed nothing")?;
    let submitted: serde_json::Value = serde_json::from_str(line)?;
    assert_eq!(submitted["inputs"], 3, "{submitted}");
    assert_eq!(submitted["uploaded_bytes"], 0, "{submitted}");
    let stored = cluster.bucket().await?.list("inputs/").await?;
    assert_eq!(stored.len(), 3);
    Ok(())
}
