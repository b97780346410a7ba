//! Goal: people look at a gallery in a real browser, from disk and from a server, by mouse and by keyboard, in the light and
//! in the dark, on a phone and on a wall; and it asks nobody for anything.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use atelier_gallery::manifest::{ArtistEntry, CellEntry, Manifest, PhotoEntry};
use atelier_gallery::page;
use atelier_proto::ids::CellId;
use atelier_tests::browser::Browser;
use atelier_tests::cluster::Cluster;
use atelier_tests::programs::Running;
use atelier_tests::{pictures, tools};
use serde_json::json;
use tempfile::TempDir;

/// What a photo, an artist and a grid are called here.
const EVIL: &str = "<script>alert(1)</script> & \u{202e}txt.\u{5de8}";

/// A gallery as it was rendered and fetched: two photos, two artists, two variants, with reconstructions.
struct Fetched {
    work: TempDir,
    gallery: PathBuf,
}

impl Fetched {
    async fn new() -> anyhow::Result<Self> {
        let cluster = Cluster::with_nodes(1).await?;
        let work = tempfile::tempdir()?;
        pictures::grid(work.path(), 2, 2)?;
        let grid = r#"
            name = "Browsed"
            photos = ["photos/*.png"]
            reconstructions = true
            [[artist]]
            name = "First"
            paintings = ["artists/artist-0.png"]
            [[artist]]
            name = "Second"
            paintings = ["artists/artist-1.png"]
            [render]
            size = 400
            scales = 1
            iterations = 2
            [sweep]
            style_weight = [1, 30]
        "#;
        std::fs::write(work.path().join("grid.toml"), grid)?;
        let submit = ["submit", "grid.toml", "--wait"];
        let ran = cluster.atelier(work.path(), &submit).await?;
        assert_eq!(ran.code(), Some(0), "{}", ran.stderr);
        let fetch = ["fetch", "Browsed", "--out", "gallery"];
        cluster.atelier(work.path(), &fetch).await?.success()?;
        let gallery = work.path().join("gallery");
        Ok(Self { work, gallery })
    }

    fn on_disk(&self) -> String {
        url(&self.gallery)
    }

    /// The same from a server that knows nothing but files.
    async fn served(&self) -> anyhow::Result<(Running, String)> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let mut server = tokio::process::Command::new("python3");
        server
            .args([
                "-u",
                "-m",
                "http.server",
                "--bind",
                "127.0.0.1",
                &port.to_string(),
                "--directory",
            ])
            .arg(&self.gallery)
            .kill_on_drop(true);
        let server = Running::start("server", &mut server, &self.work)?;
        let address = format!("127.0.0.1:{port}");
        let reaching = async {
            while tokio::net::TcpStream::connect(&address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), reaching).await?;
        Ok((server, format!("http://{address}/index.html")))
    }
}

fn url(gallery: &Path) -> String {
    format!("file://{}", gallery.join("index.html").display())
}

/// Every picture in the document is there, and nothing went wrong.
async fn shows_all(browser: &mut Browser, images: usize) -> anyhow::Result<()> {
    let shown = format!(
        "document.images.length >= {images} && [...document.images].every((it) => !it.src || (it.complete && it.naturalWidth > 0))"
    );
    browser.until(&shown).await?;
    assert_eq!(browser.problems, [] as [String; 0]);
    Ok(())
}

async fn text(browser: &mut Browser, selector: &str) -> anyhow::Result<String> {
    let value = browser
        .value(&format!("document.querySelector({selector:?}).textContent"))
        .await?;
    Ok(value.as_str().context("no text")?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gallery_is_looked_at_from_disk_and_from_a_server() -> anyhow::Result<()> {
    let Some(chromium) = tools::chromium() else {
        return Ok(());
    };
    let fetched = Fetched::new().await?;
    let (_server, served) = fetched.served().await?;
    let mut browser = Browser::start(&chromium, 1200, 900).await?;
    for url in [served, fetched.on_disk()] {
        browser.go(&url).await?;
        // Four cells, and the original and the reconstruction of two photos and two artists.
        shows_all(&mut browser, 4 + 4 + 4).await?;

        // What the network keeps of a photo stands beside it, and of an artist beside the painting.
        for (heads, kind) in [(".row", "_content"), (".heads", "_style")] {
            let kept = format!(
                "[...document.querySelectorAll('{heads} .originals')].every((it) => it.children.length === 2 && it.children[1].src.includes('{kind}'))"
            );
            assert_eq!(browser.value(&kept).await?, true, "{heads}");
        }

        // By keyboard, across and down, and one of them large.
        browser.press("Tab").await?;
        browser
            .value("document.querySelector('[data-photo=\"0\"][data-artist=\"0\"]').focus()")
            .await?;
        browser.press("ArrowRight").await?;
        browser.press("ArrowDown").await?;
        let at =
            "[document.activeElement.dataset.photo, document.activeElement.dataset.artist].join()";
        assert_eq!(browser.value(at).await?, "1,1");
        browser.press("Enter").await?;
        browser
            .until("document.querySelector('dialog').open")
            .await?;
        let title = text(&mut browser, "#viewer-title").await?;
        assert!(title.contains("in the style of"), "{title}");
        browser.press("ArrowLeft").await?;
        browser.until("location.hash.includes('open=1,0')").await?;
        browser.press("ArrowUp").await?;
        browser.until("location.hash.includes('open=0,0')").await?;
        browser
            .until("document.querySelector('.shown').naturalWidth === 400")
            .await?;

        // Told about: what it took, how the loss went, with which settings.
        let about = text(&mut browser, "#viewer-about").await?;
        for told in [
            "Evaluations",
            "Loss",
            "Painted on",
            "cpu",
            "Render settings",
        ] {
            assert!(about.contains(told), "{told}: {about}");
        }
        browser
            .until("document.querySelector('.plot polyline').points.length > 1")
            .await?;

        // The other variant, in place: the same cell, another picture.
        let source = "document.querySelector('.shown').src";
        let before = browser.value(source).await?;
        browser.press("]").await?;
        browser
            .until("location.hash.startsWith('#variant=2')")
            .await?;
        assert_ne!(browser.value(source).await?, before);
        let pressed = "document.querySelector('.viewer .switch [aria-pressed=true]').textContent";
        assert_eq!(browser.value(pressed).await?, "30");

        // Beside its photo, then its painting, then alone again.
        let compared = "document.querySelector('.bar select').value";
        for what in ["photo", "painting", ""] {
            browser.press("c").await?;
            assert_eq!(browser.value(compared).await?, what);
        }
        browser.press("c").await?;
        let clip = "document.querySelector('.other').style.clipPath";
        assert_eq!(browser.value(clip).await?, "inset(0px 50% 0px 0px)");
        browser
            .value("(() => { const it = document.querySelector('.slider'); it.value = 80; it.dispatchEvent(new Event('input')); })()")
            .await?;
        assert_eq!(browser.value(clip).await?, "inset(0px 20% 0px 0px)");

        // Larger and smaller.
        let zoom = "parseFloat(/scale\\(([^)]*)\\)/.exec(document.querySelector('.viewer .canvas').style.transform)[1])";
        browser.press("+").await?;
        assert_eq!(browser.value(zoom).await?, 1.25);
        browser.press("0").await?;
        assert_eq!(browser.value(zoom).await?, 1);

        // A favourite, which the address keeps.
        browser.press("f").await?;
        browser
            .until("/favourites=\\d+/.test(location.hash)")
            .await?;
        browser.press("Escape").await?;
        browser
            .until("!document.querySelector('dialog').open && !location.hash.includes('open')")
            .await?;
        assert_eq!(browser.value(at).await?, "0,0", "back where it was opened");
        browser
            .until("document.querySelectorAll('.favourite').length === 1")
            .await?;
        assert_eq!(browser.problems, [] as [String; 0]);
        // The link that is shared shows it, too.
        let link = browser.value("location.href").await?;
        browser.go("about:srcdoc").await.ok();
        browser.go(link.as_str().context("no link")?).await?;
        browser
            .until("document.querySelectorAll('.favourite').length === 1")
            .await?;
    }
    Ok(())
}

/// A manifest of many cells that all show the same few files, in a folder of its own.
fn large(folder: &Path, photos: usize, artists: usize) -> anyhow::Result<()> {
    let sample = sample(folder)?;
    let photo = |index: usize| PhotoEntry {
        name: format!("Photo {index}"),
        ..sample.photos[0].clone()
    };
    let artist = |index: usize| ArtistEntry {
        name: format!("Artist {index}"),
        ..sample.artists[0].clone()
    };
    let cell = |place: usize| CellEntry {
        cell_id: CellId {
            grid: sample.grid_id,
            place: place as u32,
        },
        photo: place % photos,
        artist: place / photos,
        ..sample.cells[0].clone()
    };
    let manifest = Manifest {
        photos: (0..photos).map(photo).collect(),
        artists: (0..artists).map(artist).collect(),
        cells: (0..photos * artists).map(cell).collect(),
        ..sample.clone()
    };
    std::fs::write(folder.join("index.html"), page::render(&manifest)?)?;
    Ok(())
}

/// A gallery of one cell, whose names are as bad as names can be.
fn sample(folder: &Path) -> anyhow::Result<Manifest> {
    for name in ["pictures", "thumbnails", "originals"] {
        std::fs::create_dir_all(folder.join(name))?;
        let picture =
            image::RgbImage::from_fn(64, 48, |x, y| image::Rgb([x as u8 * 4, y as u8 * 5, 90]));
        picture.save(folder.join(name).join("a.jpg"))?;
    }
    let picture = json!({
        "path": "pictures/a.jpg", "thumbnail": "thumbnails/a.jpg", "sha256": "0".repeat(64), "bytes": 1200,
        "width": 64, "height": 48, "seconds": 12.5, "evaluations": 200, "loss": 0.25, "node": "studio",
        "network": "vgg16", "device": "cpu", "losses": [[1, 9.0], [100, 1.0], [200, 0.25]],
    });
    let grid = "0190b7a8-5f6e-7c3d-8a2b-1c0d9e8f7a6b";
    let manifest = json!({
        "version": 1, "grid_id": grid, "name": EVIL, "submitted_at": "2026-06-01T10:00:00Z",
        "finished_at": "2026-06-01T10:05:00Z", "complete": true, "state": "finished", "settings": {},
        "photos": [{"name": EVIL, "sha256": "1".repeat(64), "width": 64, "height": 48, "original": "originals/a.jpg"}],
        "artists": [{"name": EVIL, "original": "originals/a.jpg", "paintings": [
            {"name": EVIL, "sha256": "2".repeat(64), "width": 64, "height": 48, "weight": 1.0}]}],
        "variants": [{"name": ""}],
        "cells": [{"cell_id": format!("{grid}/0"), "photo": 0, "artist": 0, "variant": 0, "state": "done", "attempts": 1,
            "picture": picture}],
    });
    Ok(Manifest::from_json(manifest.to_string().as_bytes())?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grid_of_thousands_keeps_in_the_page_what_is_in_sight() -> anyhow::Result<()> {
    const ELEMENTS_MAX: u64 = 2_000;
    const HEAP_BYTES_MAX: u64 = 96 << 20;
    let Some(chromium) = tools::chromium() else {
        return Ok(());
    };
    let work = tempfile::tempdir()?;
    large(work.path(), 200, 100)?;
    let mut browser = Browser::start(&chromium, 1200, 900).await?;
    browser.go(&url(work.path())).await?;
    shows_all(&mut browser, 20).await?;
    let painted = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? -1";
    browser.until(&format!("({painted}) > 0")).await?;
    let painted = browser.value(painted).await?;
    println!("200 x 100 cells: first paint after {painted} ms");
    assert_eq!(
        browser.value("[...document.querySelectorAll('#sheet')].map((it) => [it.ariaRowCount, it.ariaColCount]).join()").await?,
        "201,101"
    );
    let elements = "document.querySelectorAll('*').length";
    for step in 0..20 {
        let scroll = format!(
            "new Promise((done) => {{ scrollTo({step} / 19 * document.body.scrollWidth, {step} / 19 * document.body.scrollHeight); \
             requestAnimationFrame(() => requestAnimationFrame(() => done())); }})"
        );
        browser.value(&scroll).await?;
        let count = browser
            .value(elements)
            .await?
            .as_u64()
            .context("no count")?;
        assert!(count < ELEMENTS_MAX, "{count} elements");
        let in_sight = "[...document.querySelectorAll('.cell')].some((it) => { const place = it.getBoundingClientRect(); \
                        return place.bottom > 0 && place.top < innerHeight && place.right > 0 && place.left < innerWidth; })";
        browser.until(in_sight).await?;
    }
    // By keyboard to the last one, and what is there is that one.
    browser
        .value("document.querySelector('#sheet [tabindex=\"0\"]').focus()")
        .await?;
    let key = json!({"type": "keyDown", "key": "End", "windowsVirtualKeyCode": 35, "modifiers": 2});
    browser.call("Input.dispatchKeyEvent", key).await?;
    let at = "[document.activeElement.dataset.photo, document.activeElement.dataset.artist].join()";
    browser.until(&format!("{at} === '199,99'")).await?;
    let box_ = "(() => { const it = document.activeElement.getBoundingClientRect(); return it.top >= 0 && it.bottom <= innerHeight && it.right <= innerWidth; })()";
    browser.until(box_).await?;
    browser
        .call("HeapProfiler.collectGarbage", json!({}))
        .await?;
    let heap = browser.call("Runtime.getHeapUsage", json!({})).await?;
    let heap = heap["usedSize"].as_f64().context("no heap")? as u64;
    assert!(heap < HEAP_BYTES_MAX, "{heap} bytes");
    assert_eq!(browser.problems, [] as [String; 0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_text_and_everybody_can_read_them() -> anyhow::Result<()> {
    let Some(chromium) = tools::chromium() else {
        return Ok(());
    };
    let work = tempfile::tempdir()?;
    let manifest = sample(work.path())?;
    std::fs::write(work.path().join("index.html"), page::render(&manifest)?)?;
    let mut browser = Browser::start(&chromium, 1200, 900).await?;
    let mut walls = Vec::new();
    for (scheme, width) in [
        ("light", 1200),
        ("dark", 1200),
        ("dark", 320),
        ("light", 320),
    ] {
        browser.prefer(scheme, width == 320).await?;
        browser.resize(width, 700).await?;
        browser.go("about:blank#").await.ok();
        browser.go(&url(work.path())).await?;
        shows_all(&mut browser, 3).await?;
        for selector in ["h1", ".heads .name", ".row .name"] {
            assert_eq!(text(&mut browser, selector).await?, EVIL);
        }
        walls.push(
            browser
                .value("getComputedStyle(document.body).backgroundColor")
                .await?,
        );
        browser.is_accessible().await?;
        // On a phone, the words of the page and of a picture stay within it.
        for selector in ["header", "#tools", "footer"] {
            let right =
                format!("document.querySelector({selector:?}).getBoundingClientRect().right");
            assert!(
                browser.value(&right).await?.as_f64() <= Some(f64::from(width)),
                "{selector} at {width}"
            );
        }
        browser.click(".cell .picture").await?;
        browser
            .until("document.querySelector('dialog').open")
            .await?;
        assert_eq!(
            text(&mut browser, "#viewer-title").await?,
            format!("{EVIL} in the style of {EVIL}")
        );
        let inside = "[...document.querySelectorAll('.bar button, .top h2')].every((it) => it.getBoundingClientRect().right <= innerWidth)";
        assert_eq!(browser.value(inside).await?, true);
        let stage = "document.querySelector('.stage').getBoundingClientRect().height";
        assert!(browser.value(stage).await?.as_f64() > Some(150.0));
        browser.is_accessible().await?;
        if width == 320 {
            let motion = "getComputedStyle(document.querySelector('.picture')).transitionDuration";
            assert_eq!(browser.value(motion).await?, "0s");
        }
        assert_eq!(browser.problems, [] as [String; 0]);
    }
    assert!(walls[0] != walls[1] && walls[1] == walls[2], "{walls:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_favourite_shows_where_it_is_marked_and_follows_the_address() -> anyhow::Result<()> {
    let Some(chromium) = tools::chromium() else {
        return Ok(());
    };
    let work = tempfile::tempdir()?;
    let mut manifest = sample(work.path())?;
    let picture = manifest.cells[0].outcome.picture.as_mut();
    picture.context("no picture")?.losses = vec![(1, f64::NAN), (2, f64::NAN)];
    std::fs::write(work.path().join("index.html"), page::render(&manifest)?)?;
    let mut browser = Browser::start(&chromium, 1200, 900).await?;
    browser.go(&url(work.path())).await?;
    shows_all(&mut browser, 3).await?;
    let count =
        |marked: u32| format!("document.querySelectorAll('.favourite').length === {marked}");
    browser
        .value("document.querySelector('.cell [data-photo]').focus()")
        .await?;
    browser.press("f").await?;
    browser.until(&count(1)).await?;
    browser.press("f").await?;
    browser.until(&count(0)).await?;
    browser.value("location.hash = '#favourites=0'").await?;
    browser.until(&count(1)).await?;
    // Losses that are no numbers have no curve, and nothing stands in its place.
    browser.click(".cell .picture").await?;
    browser
        .until("document.querySelector('dialog').open")
        .await?;
    let about = text(&mut browser, "#viewer-about").await?;
    assert!(about.contains("Loss") && !about.contains("null"), "{about}");
    // A mark that was taken away there does not come back by going back.
    browser.press("f").await?;
    browser.until(&count(0)).await?;
    browser.value("history.back()").await?;
    browser
        .until("!document.querySelector('dialog').open")
        .await?;
    browser.until(&count(0)).await?;
    browser
        .until("!location.hash.includes('favourites')")
        .await?;
    assert_eq!(browser.problems, [] as [String; 0]);
    Ok(())
}
