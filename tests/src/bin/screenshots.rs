//! `make screenshots`: the pictures of pages in docs/, of a gallery that `atelier demo` left, and of a board where
//! its samples are painted once more.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use atelier_tests::browser::Browser;
use atelier_tests::cluster::Cluster;
use atelier_tests::tools;
use image::ImageFormat;
use image::codecs::jpeg::JpegEncoder;

/// Of JPEGs, of 100.
const QUALITY: u8 = 88;
/// How long two processors may paint before there is something to be seen.
const PAINTING_PATIENCE: Duration = Duration::from_mins(15);

/// What is done in a page before its picture is taken, and where that goes.
const SHOTS: [(&str, &str, &str); 2] = [
    ("light", "Promise.resolve()", "gallery.jpg"),
    (
        "dark",
        "(async () => { \
            document.querySelector('.cell .picture').click(); \
            const compared = document.querySelector('.bar select'); \
            compared.value = 'photo'; \
            compared.dispatchEvent(new Event('change')); \
            await new Promise((done) => setTimeout(done, 500)); \
        })()",
        "picture.jpg",
    ),
];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let usage = "screenshots GALLERY DOCS";
    let gallery = args.next().context(usage)?.canonicalize()?;
    let docs = args.next().context(usage)?;
    let chromium = tools::chromium().context("no browser")?;
    let mut browser = Browser::start(&chromium, 1100, 720).await?;
    for (scheme, prepare, name) in SHOTS {
        browser.prefer(scheme, true).await?;
        browser
            .go(&format!("file://{}/index.html", gallery.display()))
            .await?;
        browser
            .until("document.images.length > 2 && [...document.images].every((it) => !it.src || it.complete)")
            .await?;
        browser.value(prepare).await?;
        write(&browser.screenshot().await?, &docs.join(name))?;
    }
    at_work(&mut browser, &gallery, &docs).await
}

/// The board while a grid is painted by two nodes, another one is done and a third one waits.
async fn at_work(browser: &mut Browser, gallery: &Path, docs: &Path) -> anyhow::Result<()> {
    let mut cluster = Cluster::coordinator().await?;
    for price in ["0.53", "1.01"] {
        let paced = ["--preview-interval", "500ms", "--batch", "2"];
        cluster.start_node_with(&[&paced[..], &["--dollars-per-hour", price]].concat())?;
    }
    let work = tempfile::tempdir()?;
    for (kind, folder) in [("photo-", "photos"), ("artist-", "artists")] {
        std::fs::create_dir(work.path().join(folder))?;
        for entry in std::fs::read_dir(gallery.join("originals"))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(name) = name.strip_prefix(kind) {
                std::fs::copy(entry.path(), work.path().join(folder).join(name))?;
            }
        }
    }
    let submit = async |name: &str, more: &[&str]| {
        let inputs = [
            "submit",
            "--photos",
            "photos/*.jpg",
            "--artists",
            "artists",
            "--json",
        ];
        let args = [&inputs[..], &["--name", name], more].concat();
        let answer = cluster.atelier(work.path(), &args).await?.success()?;
        let first: serde_json::Value =
            serde_json::from_str(answer.lines().next().context("no answer")?)?;
        Ok::<_, anyhow::Error>(first["grid_id"].as_str().context("no id")?.to_owned())
    };
    let small = ["--set", "size=96", "--set", "iterations=20", "--wait"];
    submit("First light", &small).await?;
    submit("By the sea", &["--label", "gpu=h200"]).await?;
    let slow = ["--set", "size=320", "--set", "iterations=60"];
    let grid = submit("Sunday ride", &slow).await?;
    browser.prefer("light", true).await?;
    browser
        .go(&format!("{}/grids/{grid}/live", cluster.board))
        .await?;
    browser
        .until_within(
            PAINTING_PATIENCE,
            "document.querySelectorAll('#done img').length >= 2 \
             && [...document.querySelectorAll('#painting progress')].filter((it) => it.value > 90).length >= 2",
        )
        .await?;
    write(&browser.screenshot().await?, &docs.join("live.jpg"))?;
    let key = std::fs::read_to_string(cluster.data_folder()?.join("board-key"))?;
    browser.prefer("dark", true).await?;
    browser.go(&format!("{}/#key={key}", cluster.board)).await?;
    browser
        .until("document.querySelectorAll('#nodes button').length > 0")
        .await?;
    write(&browser.screenshot().await?, &docs.join("board.jpg"))
}

fn write(png: &[u8], path: &Path) -> anyhow::Result<()> {
    let picture = image::load_from_memory_with_format(png, ImageFormat::Png)?.to_rgb8();
    let file = std::fs::File::create(path)?;
    picture.write_with_encoder(JpegEncoder::new_with_quality(file, QUALITY))?;
    Ok(())
}
