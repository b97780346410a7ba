//! Goal: whatever a person gets wrong, one clear error names it and says what to do, the exit code tells scripts, and
//! no grid exists afterwards.

use std::io::Cursor;
use std::path::Path;

use anyhow::Context as _;
use atelier_tests::cluster::Cluster;
use atelier_tests::pictures;
use atelier_tests::programs::{Ran, atelier};
use image::{ImageFormat, RgbImage};

const BY_PICTURES: [&str; 5] = ["submit", "--photos", "photos/*.png", "--artists", "artists"];

/// A folder with two good photos, two good artists and a grid file.
fn workplace() -> anyhow::Result<tempfile::TempDir> {
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 2, 2)?;
    Ok(work)
}

fn grid_file(folder: &Path, text: &str) -> anyhow::Result<()> {
    Ok(std::fs::write(folder.join("grid.toml"), text)?)
}

const GOOD_FILE: &str = r#"name = "Good"
photos = ["photos/*.png"]

[[artist]]
name = "One"
paintings = ["artists/artist-0.png"]

[[artist]]
name = "Two"
paintings = ["artists/artist-1.png"]

[render]
size = 32
iterations = 2
"#;

/// Asserts one error, with these words, and this exit code. The words name what is wrong and, where the sentence does not
/// itself say what would be right, the hint.
fn refused(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.code(), Some(code), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.stdout, "", "data is printed only when there is some");
    assert_eq!(ran.stderr.matches("error:").count(), 1, "{}", ran.stderr);
    for word in words {
        assert!(
            ran.stderr.contains(word),
            "`{word}` is missing in: {}",
            ran.stderr
        );
    }
}

async fn no_grid_exists(cluster: &Cluster) -> anyhow::Result<()> {
    let listed = cluster
        .atelier(cluster.folder.path(), &["list", "--json"])
        .await?
        .success()?;
    assert!(!listed.contains("grid_id"), "a grid exists: {listed}");
    Ok(())
}

/// A PNG that declares `side` × `side` pixels and holds next to none.
fn declares(side: u32) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    RgbImage::new(1, 1).write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)?;
    bytes[16..20].copy_from_slice(&side.to_be_bytes());
    bytes[20..24].copy_from_slice(&side.to_be_bytes());
    let checksum = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
    Ok(bytes)
}

/// The checksum of PNG chunks (<https://www.w3.org/TR/png-3/#5CRC-algorithm>).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 }
        })
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_cannot_be_used() -> anyhow::Result<()> {
    let cluster = Cluster::coordinator().await?;
    let whole = {
        let work = workplace()?;
        std::fs::read(work.path().join("photos/photo-0.png"))?
    };
    let mut jpeg = Vec::new();
    image::load_from_memory(&whole)?.write_to(&mut Cursor::new(&mut jpeg), ImageFormat::Jpeg)?;
    let cases: [(&str, Vec<u8>, &[&str]); 5] = [
        (
            "photos/text.png",
            b"not a picture".to_vec(),
            &["text.png", "not"],
        ),
        ("photos/empty.png", Vec::new(), &["empty.png"]),
        (
            "photos/cut.png",
            whole[..whole.len() / 2].to_vec(),
            &["cut.png", "hint:"],
        ),
        (
            "artists/cut.jpg",
            jpeg[..jpeg.len() - 40].to_vec(),
            &["cut.jpg"],
        ),
        (
            "photos/vast.png",
            declares(60_000)?,
            &["vast.png", "60000", "30000"],
        ),
    ];
    for (name, content, words) in cases {
        let work = workplace()?;
        std::fs::write(work.path().join(name), content)?;
        refused(&cluster.atelier(work.path(), &BY_PICTURES).await?, 2, words);
    }
    no_grid_exists(&cluster).await
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_that_name_nothing() -> anyhow::Result<()> {
    let cluster = Cluster::coordinator_with(&["--cells-max", "3"]).await?;
    let work = workplace()?;
    let submit = async |args: &[&str]| cluster.atelier(work.path(), args).await;
    let none = ["submit", "--photos", "fotos/*.png", "--artists", "artists"];
    refused(&submit(&none).await?, 2, &["fotos/*.png", "hint:"]);
    let nowhere = ["submit", "--photos", "photos/*.png", "--artists", "nowhere"];
    refused(&submit(&nowhere).await?, 2, &["nowhere"]);
    for (set, words) in [
        ("size=0", ["size", "0"]),
        ("sise=64", ["sise", "size"]),
        ("style_layers=conv9_9", ["style_layers", "conv9_9"]),
        ("iterations=many", ["iterations", "many"]),
        ("size", ["size", "key=value"]),
    ] {
        let args = [BY_PICTURES.as_slice(), &["--set", set]].concat();
        refused(&submit(&args).await?, 2, &words);
    }
    // Two photos and two artists are one cell more than this coordinator takes.
    refused(&submit(&BY_PICTURES).await?, 2, &["4 cells", "3"]);
    let absent = cluster
        .atelier(work.path(), &["show", "no-such-grid"])
        .await?;
    refused(&absent, 3, &["no-such-grid", "hint:"]);
    no_grid_exists(&cluster).await
}

#[tokio::test(flavor = "multi_thread")]
async fn grid_files_that_are_wrong() -> anyhow::Result<()> {
    let cluster = Cluster::coordinator().await?;
    let cases: [(&str, &str, &[&str]); 9] = [
        ("photos =", "fotos =", &["grid.toml:2", "fotos", "photos"]),
        ("size = 32", "sise = 32", &["grid.toml:13", "sise", "size"]),
        ("size = 32", "size = \"big\"", &["grid.toml:13", "size"]),
        ("size = 32", "size = 0", &["grid.toml:13", "size", "0"]),
        (
            "iterations = 2",
            "style_layers = [\"conv7_1\"]",
            &["grid.toml:14", "conv7_1"],
        ),
        ("[\"photos/*.png\"]", "[]", &["grid.toml:2", "photos"]),
        ("\"Two\"", "\"One\"", &["One", "grid.toml"]),
        ("name = \"Good\"", "name = ", &["grid.toml:1"]),
        (
            "artists/artist-1.png",
            "artists/artist-7.png",
            &["artist-7.png", "grid.toml"],
        ),
    ];
    for (good, bad, words) in cases {
        let work = workplace()?;
        grid_file(work.path(), &GOOD_FILE.replace(good, bad))?;
        let ran = cluster
            .atelier(work.path(), &["submit", "grid.toml"])
            .await?;
        refused(&ran, 2, words);
    }
    let work = workplace()?;
    let seeds: Vec<String> = (0..2501).map(|seed| seed.to_string()).collect();
    let sweep = format!("{GOOD_FILE}\n[sweep]\nseed = [{}]\n", seeds.join(", "));
    grid_file(work.path(), &sweep)?;
    let ran = cluster
        .atelier(work.path(), &["submit", "grid.toml"])
        .await?;
    refused(&ran, 2, &["10004", "10000"]);
    no_grid_exists(&cluster).await
}

#[tokio::test(flavor = "multi_thread")]
async fn names_may_be_anything_that_people_write() -> anyhow::Result<()> {
    let cluster = Cluster::with_nodes(1).await?;
    let work = workplace()?;
    let long = "é".repeat(300);
    let names = [
        "../../etc/passwd",
        "..",
        "🎨",
        "<b>bold</b> \\\"quoted\\\"",
        long.as_str(),
    ];
    let artists = names.map(|name| {
        format!("[[artist]]\nname = \"{name}\"\npaintings = [\"artists/artist-0.png\"]\n")
    });
    let text = format!(
        "name = \"a/b.c 🚴\"\nphotos = [\"photos/photo-0.png\"]\n{}\n\
         [render]\nsize = 32\nscales = 1\niterations = 1\n",
        artists.concat()
    );
    grid_file(work.path(), &text)?;
    let ran = cluster
        .atelier(work.path(), &["submit", "grid.toml", "--wait"])
        .await?;
    assert_eq!(ran.code(), Some(0), "{}", ran.stderr);
    cluster
        .atelier(work.path(), &["fetch", "a/b.c 🚴", "--out", "gallery"])
        .await?
        .success()?;
    let pictures = std::fs::read_dir(work.path().join("gallery/pictures"))?;
    assert_eq!(pictures.count(), names.len());
    let page = std::fs::read_to_string(work.path().join("gallery/index.html"))?;
    // Artists are named in what the page's script reads.
    assert!(page.contains("\\u003cb>bold\\u003c/b>") && !page.contains("<b>bold"));

    let longer = GOOD_FILE.replace("\"One\"", &format!("\"{}\"", "x".repeat(301)));
    grid_file(work.path(), &longer)?;
    let ran = cluster
        .atelier(work.path(), &["submit", "grid.toml"])
        .await?;
    refused(&ran, 2, &["300"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_is_not_there() -> anyhow::Result<()> {
    let work = workplace()?;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let url = format!("http://{nobody}");
    let args = [["--coordinator", &url].as_slice(), &BY_PICTURES].concat();
    refused(&atelier(work.path(), &args).await?, 4, &[&url, "hint:"]);
    let list = ["--coordinator", &url, "list"];
    refused(&atelier(work.path(), list).await?, 4, &[&url, "hint:"]);
    let malformed = ["--coordinator", "not a url", "list"];
    let ran = atelier(work.path(), malformed).await?;
    assert_eq!(ran.code(), Some(2), "{}", ran.stderr);
    Ok(())
}

/// Two coordinators: the second keeps its bytes in the bucket of the first, as it would in AWS, and signs with its keys.
#[tokio::test(flavor = "multi_thread")]
async fn an_s3_that_refuses_or_is_gone() -> anyhow::Result<()> {
    let mut keeper = Cluster::coordinator().await?;
    let keys = keeper.folder.path().join("data/s3-credentials.toml");
    let lent = keeper.lends().await?;
    let cluster = Cluster::coordinator_in(&lent.args(), &lent.environment()).await?;

    let work = workplace()?;
    let submit = async || cluster.atelier(work.path(), &BY_PICTURES).await;
    assert_eq!(submit().await?.code(), Some(0), "without any keys");
    keeper.coordinator.kill().await?;
    refused(&submit().await?, 5, &[&keeper.s3, "hint:"]);
    // There is another bucket in its place, whose keys are others.
    std::fs::remove_file(&keys)?;
    keeper.coordinator_again().await?;
    refused(&submit().await?, 5, &["what was signed", "hint:"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_space() -> anyhow::Result<()> {
    let cluster = Cluster::with_nodes(1).await?;
    let work = workplace()?;
    let args = [
        BY_PICTURES.as_slice(),
        &[
            "--set",
            "size=64",
            "--set",
            "iterations=1",
            "--name",
            "full",
            "--wait",
        ],
    ]
    .concat();
    assert_eq!(cluster.atelier(work.path(), &args).await?.code(), Some(0));
    let disk = work.path().join("small-disk");
    std::fs::create_dir(&disk)?;
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=8k", "tmpfs"])
        .arg(&disk)
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "CI can mount a small disk"
        );
        println!("skipped: only root can mount a small disk");
        return Ok(());
    }
    let out = disk.join("gallery");
    let out = out.to_str().context("a plain path")?;
    let ran = cluster
        .atelier(work.path(), &["fetch", "full", "--out", out])
        .await;
    let left = count_partial_files(&disk);
    let unmounted = std::process::Command::new("umount").arg(&disk).status()?;
    assert!(unmounted.success());
    refused(&ran?, 8, &["small-disk", "space"]);
    assert_eq!(left?, 0, "half a file stayed");
    Ok(())
}

/// Pictures that do not decode, and temporary files.
fn count_partial_files(folder: &Path) -> anyhow::Result<usize> {
    let mut partial = 0;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let extension = path.extension().unwrap_or_default();
        let is_picture = extension == "jpg" || extension == "png";
        if path.is_dir() {
            partial += count_partial_files(&path)?;
        } else if name.starts_with('.') || (is_picture && image::open(&path).is_err()) {
            partial += 1;
        }
    }
    Ok(partial)
}
