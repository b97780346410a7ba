//! `make screenshots`: the pictures of pages that the README shows, of a gallery that `atelier demo` left.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use atelier_tests::browser::Browser;
use atelier_tests::tools;
use image::ImageFormat;
use image::codecs::jpeg::JpegEncoder;

/// Of JPEGs, of 100.
const QUALITY: u8 = 88;

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
    Ok(())
}

fn write(png: &[u8], path: &Path) -> anyhow::Result<()> {
    let picture = image::load_from_memory_with_format(png, ImageFormat::Png)?.to_rgb8();
    let file = std::fs::File::create(path)?;
    picture.write_with_encoder(JpegEncoder::new_with_quality(file, QUALITY))?;
    Ok(())
}
