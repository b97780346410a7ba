//! Goal: the page of a fetched gallery shows every picture in a browser, from disk, and asks nobody for anything.

use std::path::Path;

use anyhow::Context as _;
use atelier_tests::cluster::Cluster;
use atelier_tests::{pictures, tools};
use tokio::process::Command;

async fn browse(
    chromium: &Path,
    profile: &Path,
    args: &[&str],
    page: &str,
) -> anyhow::Result<String> {
    let mut command = Command::new(chromium);
    command
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ])
        .args(["--hide-scrollbars", "--virtual-time-budget=5000"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(args)
        .arg(page)
        .kill_on_drop(true);
    let ran = atelier_tests::programs::run(&mut command).await?;
    anyhow::ensure!(ran.status.success(), "{}", ran.stderr);
    Ok(ran.stdout)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_every_picture_from_disk() -> anyhow::Result<()> {
    let Some(chromium) = tools::chromium() else {
        return Ok(());
    };
    let cluster = Cluster::with_nodes(1).await?;
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 2, 2)?;
    let submit = [
        "submit",
        "--photos",
        "photos/*.png",
        "--artists",
        "artists",
        "--name",
        "Browsed",
        "--wait",
        "--set",
        "size=64",
        "--set",
        "scales=1",
        "--set",
        "iterations=2",
    ];
    let ran = cluster.atelier(work.path(), &submit).await?;
    assert_eq!(ran.code(), Some(0), "{}", ran.stderr);
    cluster
        .atelier(work.path(), &["fetch", "Browsed", "--out", "gallery"])
        .await?
        .success()?;

    // A page around the gallery's own, which counts what the browser could and could not show.
    let gallery = work.path().join("gallery");
    let page = std::fs::read_to_string(gallery.join("index.html"))?;
    assert!(page.contains("Content-Security-Policy"));
    let profile = tempfile::tempdir()?;
    let url = format!("file://{}", gallery.join("index.html").display());
    let dom = browse(&chromium, profile.path(), &["--dump-dom"], &url).await?;
    assert_eq!(
        dom.matches("<img").count(),
        4 + 2 + 2,
        "cells, photos, artists"
    );

    // Every picture is painted: without the pictures, the same page looks otherwise at each of their places.
    let shown = screenshot(&chromium, profile.path(), &url, work.path()).await?;
    let bare = work.path().join("bare");
    std::fs::create_dir(&bare)?;
    std::fs::copy(gallery.join("index.html"), bare.join("index.html"))?;
    let url = format!("file://{}", bare.join("index.html").display());
    let without = screenshot(&chromium, profile.path(), &url, work.path()).await?;
    let differing = shown
        .pixels()
        .zip(without.pixels())
        .filter(|(left, right)| left != right)
        .count();
    assert!(
        differing > 8 * 48 * 48,
        "only {differing} pixels show a picture"
    );
    Ok(())
}

async fn screenshot(
    chromium: &Path,
    profile: &Path,
    url: &str,
    folder: &Path,
) -> anyhow::Result<image::RgbImage> {
    let file = folder.join("page.png");
    let option = format!("--screenshot={}", file.display());
    browse(
        chromium,
        profile,
        &[&option, "--window-size=1200,1000"],
        url,
    )
    .await?;
    let picture = image::open(&file).context("no screenshot")?;
    Ok(picture.to_rgb8())
}
