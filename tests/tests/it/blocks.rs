//! Goal: a node renders several cells at once, and the trouble of one of them is its own.

use std::time::Duration;

use anyhow::Context as _;
use atelier_proto::v1::{self, CellState};
use atelier_tests::cluster::Cluster;
use atelier_tests::metrics::{scrape, served_at};
use atelier_tests::pictures;
use atelier_tests::programs::PATIENCE;

#[tokio::test(flavor = "multi_thread")]
async fn cells_are_rendered_together_and_fail_alone() -> anyhow::Result<()> {
    let mut cluster = Cluster::coordinator().await?;
    cluster.start_node_with(&["--metrics-listen", "127.0.0.1:0"])?;
    let url = served_at(&mut cluster.nodes[0]).await?;
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 4, 2)?;
    // VGG16 has no conv5_4, so every other cell is refused by the renderer.
    let grid = r#"
        name = "Half of it"
        photos = ["photos/*.png"]

        [[artist]]
        name = "Zero"
        paintings = ["artists/artist-0.png"]

        [[artist]]
        name = "One"
        paintings = ["artists/artist-1.png"]

        [render]
        size = 48
        scales = 1
        iterations = 4

        [sweep]
        style_layers = ["conv1_1", "conv5_4"]
    "#;
    std::fs::write(work.path().join("half.toml"), grid)?;
    let submitted = cluster
        .atelier(work.path(), &["submit", "half.toml", "--json"])
        .await?
        .json()?;
    let grid = submitted["grid_id"].as_str().context("no id")?;
    let ended = cluster
        .until(grid, "every cell ended", |answer: &v1::GetResponse| {
            let has_ended =
                |cell: &v1::Cell| matches!(cell.state(), CellState::Done | CellState::Failed);
            answer.cells.iter().all(has_ended).then(|| answer.clone())
        })
        .await?;
    for cell in &ended.cells {
        if cell.variant == 0 {
            assert_eq!(cell.state(), CellState::Done, "{}", cell.failure);
        } else {
            assert!(cell.failure.contains("conv5_4"), "{}", cell.failure);
            assert_eq!(cell.attempts, 1, "no other attempt can help");
        }
    }

    // The node counts a cell when the coordinator has taken its word for it.
    let counted = async {
        loop {
            let metrics = scrape(&url).await?;
            let is = |outcome: &str, count: &str| {
                let name = format!("atelier_node_cells_total{{outcome=\"{outcome}\"}}");
                metrics.get(&name).is_some_and(|value| value == count)
            };
            if is("done", "8") && is("failed", "8") {
                return Ok::<_, anyhow::Error>(metrics);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let metrics = tokio::time::timeout(PATIENCE, counted).await??;
    assert_eq!(metrics["atelier_node_evaluations_total"], "32");
    assert_eq!(metrics["atelier_node_batch_cells_sum"], "16.0");
    let blocks: u32 = metrics["atelier_node_batch_cells_count"].parse()?;
    assert!(
        blocks < 16,
        "{blocks} blocks: no two cells were rendered together"
    );
    let rendering = &metrics["atelier_node_device_seconds_total{state=\"rendering\"}"];
    assert!(rendering.parse::<f64>()? > 0.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_block_is_prepared_and_the_last_one_stored_beside_the_device() -> anyhow::Result<()>
{
    const BLOCKS: usize = 5;
    let mut cluster = Cluster::coordinator().await?;
    cluster.start_node_with(&["--batch", "1", "--log", "info,atelier_node=debug"])?;
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), BLOCKS as u32, 1)?;
    let what = ["submit", "--photos", "photos/*.png", "--artists", "artists"];
    let settings = ["size=48", "scales=1", "iterations=40"];
    let set = settings.into_iter().flat_map(|setting| ["--set", setting]);
    let args: Vec<&str> = what.into_iter().chain(set).chain(["--wait"]).collect();
    let ran = cluster.atelier(work.path(), &args).await?;
    assert_eq!(ran.code(), Some(0), "{}", ran.stderr);

    let log = cluster.nodes[0].log();
    let ended = log.split("batch ended");
    let prepared = ended.scan(0, |prepared, part| {
        *prepared += part.matches("inputs at hand").count();
        Some(*prepared)
    });
    let prepared: Vec<usize> = prepared.take(BLOCKS).collect();
    for (ended, prepared) in prepared.iter().enumerate() {
        assert!(
            *prepared >= BLOCKS.min(ended + 2),
            "{prepared} inputs at hand when batch {ended} ended:\n{log}"
        );
    }
    // Which of two threads is heard first is chance, but not every time.
    let done = log.split(" done ").take(BLOCKS - 1).enumerate();
    let begun = done.scan(0, |begun, (number, part)| {
        *begun += part.matches("batch begun").count();
        Some(*begun > number + 1)
    });
    let beside = begun.filter(|is_beside| *is_beside).count();
    assert!(
        beside >= BLOCKS / 2,
        "stored beside the next block: {beside}\n{log}"
    );
    Ok(())
}
