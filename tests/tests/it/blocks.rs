//! Goal: a node renders several cells at once, and the trouble of one of them is its own.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use atelier_proto::v1::{self, CellState};
use atelier_tests::cluster::Cluster;
use atelier_tests::pictures;
use atelier_tests::programs::PATIENCE;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What a node tells Prometheus: values by name and labels.
async fn scrape(url: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let address = url
        .strip_prefix("http://")
        .and_then(|rest| rest.strip_suffix("/metrics"))
        .with_context(|| format!("{url} is another address"))?;
    let mut stream = TcpStream::connect(address).await?;
    let request = "GET /metrics HTTP/1.1\r\nHost: node\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (_, text) = answer.split_once("\r\n\r\n").context("no body")?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let values = lines.map(|line| {
        let (name, value) = line.rsplit_once(' ').context("a name and a value")?;
        Ok((name.to_owned(), value.to_owned()))
    });
    values.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn cells_are_rendered_together_and_fail_alone() -> anyhow::Result<()> {
    let mut cluster = Cluster::coordinator().await?;
    cluster.start_node_with(&["--metrics", "127.0.0.1:0"])?;
    let ready: serde_json::Value = serde_json::from_str(&cluster.nodes[0].line().await?)?;
    let url = ready["ready"]["metrics"].as_str().context("no metrics")?;
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
            let metrics = scrape(url).await?;
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
