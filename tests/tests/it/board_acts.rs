//! Goal: people watch a picture as it is painted, and those who may submit grids and steer nodes in a browser; nobody else
//! can, and no page of somebody else's for them.

use std::time::Duration;

use anyhow::Context as _;
use atelier_tests::browser::Browser;
use atelier_tests::cluster::Cluster;
use atelier_tests::programs::{self, PATIENCE};
use atelier_tests::{pictures, tools};
use serde_json::{Value, json};

/// The key of a cluster's board.
fn key(cluster: &Cluster) -> anyhow::Result<String> {
    Ok(std::fs::read_to_string(
        cluster.folder.path().join("data/board-key"),
    )?)
}

/// Lets go of files over the middle of what a selector finds.
async fn drop_files(browser: &mut Browser, selector: &str, files: &[String]) -> anyhow::Result<()> {
    let place = format!(
        "(() => {{ const it = document.querySelector({selector:?}); it.scrollIntoView({{block: 'center'}}); \
         const box = it.getBoundingClientRect(); return [box.left + box.width / 2, box.top + box.height / 2]; }})()"
    );
    let place = browser.value(&place).await?;
    for kind in ["dragEnter", "dragOver", "drop"] {
        let event = json!({
            "type": kind, "x": place[0], "y": place[1],
            "data": {"items": [], "files": files, "dragOperationsMask": 1},
        });
        browser.call("Input.dispatchDragEvent", event).await?;
    }
    Ok(())
}

async fn fill_in(browser: &mut Browser, name: &str, text: &str) -> anyhow::Result<()> {
    let fill = format!(
        "(() => {{ const field = document.querySelector('[name={name}]'); field.value = {text:?}; \
         field.dispatchEvent(new Event('input', {{bubbles: true}})); }})()"
    );
    browser.value(&fill).await?;
    Ok(())
}

fn without(problems: &mut Vec<String>, part: &str) {
    problems.retain(|problem| !problem.contains(part));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_watched_as_it_is_painted() -> anyhow::Result<()> {
    let Some(chromium) = tools::chromium() else {
        return Ok(());
    };
    let mut cluster = Cluster::coordinator().await?;
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 2, 1)?;
    let settings = [
        "--set",
        "size=96",
        "--set",
        "scales=1",
        "--set",
        "iterations=400",
        "--set",
        "plateau=0",
    ];
    let grid = cluster.submit(work.path(), &settings).await?;
    let mut browser = Browser::start(&chromium, 1200, 800).await?;
    browser
        .go(&format!("{}/grids/{grid}/live", cluster.board))
        .await?;
    browser
        .until("document.querySelector('#facts').textContent.includes('no node is there')")
        .await?;
    cluster.start_node_with(&["--preview-interval", "200ms", "--batch", "1"])?;
    // Pictures without a picture yet are asked for too; that nothing is there is no fault.
    let shown = "[...document.querySelectorAll('#painting img')].filter((it) => it.naturalWidth > 0).at(-1)?.src ?? ''";
    browser.until(&format!("({shown}) !== ''")).await?;
    let first = browser.value(shown).await?;
    let first = first.as_str().context("no address")?;
    assert!(
        first.contains(&format!("/grids/{grid}/previews/")),
        "{first}"
    );
    let later = format!("(({shown}) !== '' && ({shown}) !== {first:?})");
    browser.until(&later).await?;
    browser
        .until("Number(document.querySelector('#painting progress').value) > 0")
        .await?;
    browser.is_accessible().await?;

    // Whoever ends a cell removes what was shown of it, while others are still painted.
    let done = "document.querySelector('#done img')?.src ?? ''";
    browser.until(&format!("({done}) !== ''")).await?;
    let done = browser.value(done).await?;
    let name = done.as_str().and_then(|src| src.rsplit('/').next());
    let preview = format!("grids/{grid}/previews/{}", name.context("no name")?);
    let bucket = cluster.bucket().await?;
    let gone = async {
        while bucket.head(&preview).await?.is_some() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok::<_, anyhow::Error>(())
    };
    tokio::time::timeout(PATIENCE, gone)
        .await
        .context("a preview stays behind")??;
    let summary = cluster
        .grid(&grid)
        .await?
        .grid
        .and_then(|grid| grid.summary);
    let counts = summary.and_then(|summary| summary.cells);
    let done = counts.context("no counts")?.done;
    assert_eq!(done, 1, "the end of the grid would remove it, too");

    browser
        .until("document.querySelectorAll('#done img').length === 2")
        .await?;
    browser
        .until(
            "document.querySelector('#idle').textContent.includes('Everything has been painted')",
        )
        .await?;
    without(&mut browser.problems, "/previews/");
    assert_eq!(browser.problems, [] as [String; 0]);
    Ok(())
}

/// By `script`, which gives a program a terminal of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_watched_in_a_terminal_as_it_is_painted() -> anyhow::Result<()> {
    let mut cluster = Cluster::coordinator().await?;
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 1, 1)?;
    let settings = [
        "--set",
        "size=96",
        "--set",
        "scales=1",
        "--set",
        "iterations=300",
        "--set",
        "plateau=0",
    ];
    let grid = cluster.submit(work.path(), &settings).await?;
    let piped = cluster
        .atelier(work.path(), &["watch", &grid, "--preview"])
        .await?;
    assert_eq!(piped.code(), Some(2), "{piped:?}");
    cluster.start_node_with(&["--preview-interval", "200ms"])?;
    let watch = |how: &str| {
        let atelier = programs::folder().join("atelier");
        let line = format!("{} watch {grid} --preview={how}", atelier.display());
        let mut script = programs::command("/usr/bin/script", cluster.folder.path());
        script
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .env("ATELIER_COORDINATOR", &cluster.grpc);
        script
    };
    let (mut kitty, mut blocks) = (watch("kitty"), watch("blocks"));
    let (kitty, blocks) = tokio::join!(programs::run(&mut kitty), programs::run(&mut blocks));
    let (kitty, blocks) = (kitty?.success()?, blocks?.success()?);
    assert!(kitty.contains("\x1b_Ga=T,f=100"), "{kitty:?}");
    // Drawn more than once, each over the one before.
    assert!(blocks.matches("m▀").count() > 100, "{blocks:?}");
    assert!(blocks.contains("A\x1b[0J"), "{blocks:?}");
    assert!(blocks.contains(" of 300"), "{blocks:?}");
    for seen in [&kitty, &blocks] {
        assert!(seen.contains("finished"), "{seen:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_told_with_its_reason() -> anyhow::Result<()> {
    let Some(chromium) = tools::chromium() else {
        return Ok(());
    };
    let mut cluster = Cluster::coordinator_with(&["--attempts-max", "2"]).await?;
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 1, 1)?;
    let grid = cluster.submit(work.path(), &[]).await?;
    let grpc = cluster.grpc.clone();
    let failing = ["--simulated-failures", "1", "--simulated-cell-time", "10ms"];
    cluster.start_simulated(&grpc, &failing)?;
    let mut browser = Browser::start(&chromium, 1200, 800).await?;
    browser
        .go(&format!("{}/grids/{grid}/live", cluster.board))
        .await?;
    let told = |id: &str| {
        format!("document.querySelector('#{id}').textContent.includes('a simulated failure')")
    };
    browser
        .until(&format!("{} || {}", told("retrying"), told("failed")))
        .await?;
    browser.until(&told("failed")).await?;
    browser.is_accessible().await?;
    assert_eq!(browser.problems, [] as [String; 0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grid_is_submitted_by_drag_and_drop_and_a_node_drained_by_a_button() -> anyhow::Result<()>
{
    let Some(chromium) = tools::chromium() else {
        return Ok(());
    };
    let mut cluster = Cluster::with_nodes(1).await?;
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 2, 2)?;
    let path = |name: &str| work.path().join(name).display().to_string();
    let evil = path("photos/<b>ride.png");
    std::fs::rename(path("photos/photo-0.png"), &evil)?;
    std::fs::write(path("broken.png"), "no picture")?;
    let mut browser = Browser::start(&chromium, 1200, 900).await?;
    browser.go(&cluster.board).await?;
    browser
        .until("document.querySelector('#session').textContent.includes('Read-only')")
        .await?;
    assert_eq!(
        browser
            .value("document.querySelectorAll('#nodes button').length")
            .await?,
        0
    );
    browser
        .go(&format!("{}/submit#key={}", cluster.board, key(&cluster)?))
        .await?;
    browser
        .until("!document.querySelector('main').hidden && location.hash === ''")
        .await?;

    drop_files(
        &mut browser,
        "#photos",
        &[evil, path("photos/photo-1.png"), path("broken.png")],
    )
    .await?;
    browser
        .until("document.querySelector('#photos').textContent.includes('it is not a JPEG')")
        .await?;
    let paintings = std::fs::read_dir(path("artists"))?
        .map(|entry| Ok(entry?.path().display().to_string()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    drop_files(&mut browser, "#artists", &paintings).await?;
    browser
        .until("/4\\spictures/.test(document.querySelector('#estimate').textContent)")
        .await?;
    assert_eq!(
        browser
            .value("document.querySelectorAll('.inputs b').length")
            .await?,
        0
    );
    fill_in(&mut browser, "further", "iterations=-1").await?;
    browser
        .until("document.querySelector('#wrong').textContent.includes('iterations') && document.querySelector('#submit').disabled")
        .await?;
    fill_in(&mut browser, "further", "iterations=2\nscales=1").await?;
    fill_in(&mut browser, "size", "16").await?;
    browser
        .until("/4\\spictures/.test(document.querySelector('#estimate').textContent) && !document.querySelector('#submit').disabled")
        .await?;
    for (scheme, width) in [("dark", 320), ("light", 1200)] {
        browser.prefer(scheme, true).await?;
        browser.resize(width, 900).await?;
        browser.is_accessible().await?;
        let overflow = "document.documentElement.scrollWidth <= innerWidth";
        assert_eq!(browser.value(overflow).await?, true, "{width}");
    }
    browser
        .value("document.querySelector('#submit').click()")
        .await?;
    browser
        .until("/^\\/grids\\/[^/]+\\/live$/.test(location.pathname)")
        .await?;
    browser
        .until("document.querySelectorAll('#done img').length === 4")
        .await?;
    // The picture that was refused, and previews that are not there yet.
    without(&mut browser.problems, "/api/inputs");
    without(&mut browser.problems, "/api/estimate");
    without(&mut browser.problems, "/previews/");
    assert_eq!(browser.problems, [] as [String; 0]);

    drain_the_node(&mut browser, &mut cluster).await?;
    assert_eq!(browser.problems, [] as [String; 0]);
    Ok(())
}

/// Presses the button that drains the only node of a cluster, and sees it leave.
async fn drain_the_node(browser: &mut Browser, cluster: &mut Cluster) -> anyhow::Result<()> {
    browser.go(&cluster.board).await?;
    let drain =
        "[...document.querySelectorAll('#nodes button')].find((it) => it.textContent === 'Drain')";
    browser.until(&format!("!!{drain}")).await?;
    browser.value(&format!("{drain}.click()")).await?;
    browser
        .until("document.querySelector('dialog').open")
        .await?;
    browser.is_accessible().await?;
    fill_in(browser, "reason", "a new fan").await?;
    browser
        .value("document.querySelector('dialog .chief').click()")
        .await?;
    browser
        .until("document.querySelector('#said').textContent.includes('will be draining')")
        .await?;
    // It holds nothing, so it leaves at once.
    let node = cluster.nodes.first_mut().context("no node")?;
    assert!(node.wait().await?.success());
    browser
        .until("document.querySelector('#nodes').textContent.includes('No node is there')")
        .await?;
    Ok(())
}

/// Asks a board without a browser: its status and its text.
async fn post(
    board: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> anyhow::Result<(u16, String)> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let mut request = http.post(format!("{board}{path}")).body(body.to_vec());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_acts_without_the_key_or_from_elsewhere_and_what_is_wrong_is_named()
-> anyhow::Result<()> {
    let cluster = Cluster::coordinator().await?;
    let board = cluster.board.as_str();
    let bearer = format!("Bearer {}", key(&cluster)?);
    let json_type = ("content-type", "application/json");
    let with_key = [("authorization", bearer.as_str()), json_type];
    let work = tempfile::tempdir()?;
    let painting = work.path().join("painting.png");
    pictures::painting(&painting, 1)?;
    let painting = std::fs::read(painting)?;

    for path in ["/api/inputs", "/api/grids", "/api/estimate", "/api/nodes/x"] {
        for headers in [
            &[][..],
            &[("authorization", "Bearer 0123456789abcdef0123456789abcdef")],
        ] {
            let (status, _) = post(board, path, headers, b"{}").await?;
            assert_eq!(status, 401, "{path} {headers:?}");
        }
        let elsewhere = [&with_key[..], &[("origin", "http://evil.example")]].concat();
        let (status, text) = post(board, path, &elsewhere, b"{}").await?;
        assert_eq!(
            (status, text.as_str()),
            (403, "this was asked by a page from elsewhere"),
            "{path}"
        );
    }

    let (status, text) = post(board, "/api/inputs", &with_key, b"no picture").await?;
    assert_eq!(status, 422, "{text}");
    assert!(text.contains("picture"), "{text}");
    let (status, text) = post(board, "/api/inputs", &with_key, &painting).await?;
    assert_eq!(status, 200, "{text}");
    let kept: Value = serde_json::from_str(&text)?;
    let sha256 = kept["sha256"].as_str().context("no digest")?;
    let grid = |sha256: &str, settings: &[&str]| {
        let grid = json!({
            "name": "by hand", "photos": [{"name": "ride", "sha256": sha256}],
            "artists": [{"name": "me", "paintings": [sha256]}], "settings": settings,
            "request": "0190b7a8-5f6e-4c3d-8a2b-1c0d9e8f7a6b",
        });
        grid.to_string().into_bytes()
    };
    let missing = "a".repeat(64);
    for (body, said) in [
        (grid(&missing, &[]), "photos[0]"),
        (grid("nonsense", &[]), "photos[0]"),
        (grid(sha256, &["size=7"]), "size"),
        (grid(sha256, &["colour=pink"]), "colour"),
        (b"{}".to_vec(), "name"),
        (b"{".to_vec(), "JSON"),
    ] {
        for path in ["/api/estimate", "/api/grids"] {
            let (status, text) = post(board, path, &with_key, &body).await?;
            assert_eq!(status, 422, "{path}: {text}");
            assert!(text.contains(said), "{path}: {said} is not in {text:?}");
        }
    }
    let (status, text) = post(board, "/api/estimate", &with_key, &grid(sha256, &[])).await?;
    assert_eq!(status, 200, "{text}");
    assert_eq!(
        serde_json::from_str::<Value>(&text)?,
        json!({"cells": 1, "seconds": null, "dollars": null})
    );
    // Sent twice, it is one grid.
    let (status, first) = post(board, "/api/grids", &with_key, &grid(sha256, &[])).await?;
    assert_eq!(status, 201, "{first}");
    let (_, again) = post(board, "/api/grids", &with_key, &grid(sha256, &[])).await?;
    assert_eq!(first, again);
    let nobody = "/api/nodes/0190b7a8-5f6e-7c3d-8a2b-1c0d9e8f7a6b";
    let (status, text) = post(board, nobody, &with_key, br#"{"state":"draining"}"#).await?;
    assert_eq!(status, 404, "{text}");
    let (status, text) = post(board, nobody, &with_key, br#"{"state":"quarantined"}"#).await?;
    assert_eq!(status, 422, "{text}");
    assert!(text.contains("reason"), "{text}");
    Ok(())
}
