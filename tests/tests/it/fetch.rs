//! Goal: galleries come whole to whoever wants them: in parts, while they grow, over bad ways, from the bucket alone, and as a
//! page for others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use atelier_gallery::manifest::Manifest;
use atelier_proto::ids::Digest;
use atelier_tests::browser::Browser;
use atelier_tests::cluster::Cluster;
use atelier_tests::programs::{self, PATIENCE, Ran, command};
use atelier_tests::proxy::{Proxy, Weather};
use atelier_tests::{pictures, tools};
use tempfile::TempDir;

const PHOTOS: u32 = 4;
const ARTISTS: u32 = 3;

/// A grid whose pictures are simulated: of one colour, and as large as others.
struct Farm {
    cluster: Cluster,
    work: TempDir,
    grid: String,
}

impl Farm {
    async fn with(mut cluster: Cluster, cell_time: &str, wait: &[&str]) -> anyhow::Result<Self> {
        let work = tempfile::tempdir()?;
        pictures::grid(work.path(), PHOTOS, ARTISTS)?;
        let grpc = cluster.grpc.clone();
        cluster.start_simulated(&grpc, &["--simulated-cell-time", cell_time])?;
        let named = [
            "--name",
            "Fetched",
            "--set",
            "size=512",
            "--set",
            "format=png",
        ];
        let grid = cluster
            .submit(work.path(), &[&named[..], wait].concat())
            .await?;
        Ok(Self {
            cluster,
            work,
            grid,
        })
    }

    async fn done() -> anyhow::Result<Self> {
        let farm = Self::with(Cluster::coordinator().await?, "10ms", &[]).await?;
        farm.cluster.until_complete(&farm.grid).await?;
        Ok(farm)
    }

    async fn behind_its_bucket() -> anyhow::Result<(Self, Proxy)> {
        let (cluster, proxy) = Cluster::behind_its_bucket().await?;
        let farm = Self::with(cluster, "10ms", &[]).await?;
        farm.cluster.until_complete(&farm.grid).await?;
        Ok((farm, proxy))
    }

    async fn fetch(&self, args: &[&str]) -> anyhow::Result<Ran> {
        let fetch = [&["fetch", &self.grid, "--out", "gallery"], args].concat();
        self.cluster.atelier(self.work.path(), &fetch).await
    }

    fn gallery(&self) -> PathBuf {
        self.work.path().join("gallery")
    }

    /// The gallery is here as its manifest says, and nothing else is.
    fn is_whole(&self, cells: usize) -> anyhow::Result<()> {
        let gallery = self.gallery();
        let manifest = Manifest::from_json(&std::fs::read(gallery.join("gallery.json"))?)?;
        assert_eq!(manifest.pictures().count(), cells);
        for picture in manifest.pictures() {
            let bytes = std::fs::read(gallery.join(&picture.path))?;
            assert_eq!(Digest::of(&bytes), picture.sha256, "{}", picture.path);
        }
        for path in manifest.paths() {
            assert!(gallery.join(path).is_file(), "{path}");
        }
        for (path, _) in files(&gallery)? {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            assert!(!name.starts_with('.'), "left over: {}", path.display());
        }
        Ok(())
    }
}

/// Every file below a folder, with its length.
fn files(folder: &Path) -> anyhow::Result<BTreeMap<PathBuf, u64>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                found.insert(entry.path(), entry.metadata()?.len());
            }
        }
    }
    Ok(found)
}

/// What a folder holds, by paths from it.
fn contents(folder: &Path) -> anyhow::Result<BTreeMap<PathBuf, Digest>> {
    let files = files(folder)?.into_keys().map(|path| {
        let name = path.strip_prefix(folder)?.to_owned();
        Ok((name, Digest::of(&std::fs::read(&path)?)))
    });
    files.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn aws_s3_sync_brings_the_same_gallery() -> anyhow::Result<()> {
    let Some(aws) = tools::aws() else {
        return Ok(());
    };
    let farm = Farm::done().await?;
    farm.fetch(&[]).await?.success()?;
    let lent = farm.cluster.lends().await?;
    let synced = farm.work.path().join("synced");
    let from = format!("s3://{}/grids/{}/", lent.bucket, farm.grid);
    let mut sync = tokio::process::Command::new(aws);
    sync.args(["s3", "sync", "--no-progress", &from])
        .arg(&synced)
        .env("HOME", farm.work.path())
        .envs(lent.environment())
        .env("AWS_ENDPOINT_URL_S3", lent.endpoint)
        .env("AWS_DEFAULT_REGION", lent.region)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env_remove("AWS_PROFILE");
    programs::run(&mut sync).await?.success()?;
    let (synced, fetched) = (contents(&synced)?, contents(&farm.gallery())?);
    assert!(fetched.len() > (PHOTOS * ARTISTS) as usize);
    for (name, digest) in &fetched {
        assert_eq!(synced.get(name), Some(digest), "{}", name.display());
    }
    // It may be drawn between the two.
    let sheet = Path::new("contact-sheet.jpg");
    assert!(
        synced
            .keys()
            .all(|name| fetched.contains_key(name) || name == sheet)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_gallery_is_fetched_with_a_page_of_its_own() -> anyhow::Result<()> {
    let farm = Farm::done().await?;
    let fetched = farm
        .fetch(&["--only", "artist=ARTIST-1,photo=photo-0,photo=*3"])
        .await?;
    fetched.success()?;
    farm.is_whole(2)?;
    let manifest = Manifest::from_json(&std::fs::read(farm.gallery().join("gallery.json"))?)?;
    let photos: Vec<&str> = manifest.photos.iter().map(|photo| &*photo.name).collect();
    assert_eq!(photos, ["photo-0", "photo-3"]);
    let places: Vec<u32> = manifest.subjects().map(|subject| subject.place).collect();

    // As a link of the whole gallery's page names them.
    std::fs::remove_dir_all(farm.gallery())?;
    let list = places
        .iter()
        .map(u32::to_string)
        .collect::<Vec<_>>()
        .join(",");
    let link = format!("https://somewhere.example/index.html#favourites={list}&open=1,1");
    farm.fetch(&["--favourites", &link]).await?.success()?;
    farm.is_whole(2)?;

    let nobody = farm.fetch(&["--only", "artist=Manet"]).await?;
    assert_eq!(nobody.code(), Some(2), "{}", nobody.stderr);
    assert!(
        nobody
            .stderr
            .contains("its artists are artist-0, artist-1, artist-2"),
        "{}",
        nobody.stderr
    );

    // The rest comes with the whole, and then nothing more.
    farm.fetch(&[]).await?.success()?;
    farm.is_whole((PHOTOS * ARTISTS) as usize)?;
    let sheet = || image::open(farm.gallery().join("contact-sheet.jpg"));
    let whole = sheet()?;
    assert!(whole.width() > 300 * ARTISTS && whole.height() > 200 * PHOTOS);
    let again = farm.fetch(&["--json"]).await?.json()?;
    assert_eq!(again["fetched"], 0);

    // The sheet of a part is of that part.
    let part = ["--only", "photo=photo-1", "--contact-sheet"];
    farm.fetch(&part).await?.success()?;
    assert!(sheet()?.height() < whole.height() / 2);
    let audit = ["audit", &farm.grid, "--deep"];
    farm.cluster
        .atelier(farm.work.path(), &audit)
        .await?
        .success()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gallery_that_grows_is_fetched_until_it_is_complete() -> anyhow::Result<()> {
    let farm = Farm::with(Cluster::coordinator().await?, "400ms", &[]).await?;
    let watching = farm.fetch(&["--watch"]);
    let ran = tokio::time::timeout(PATIENCE, watching).await??;
    assert!(
        ran.stderr.contains("still being rendered"),
        "{}",
        ran.stderr
    );
    ran.success()?;
    farm.is_whole((PHOTOS * ARTISTS) as usize)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_that_is_killed_again_and_again_goes_on_where_it_was() -> anyhow::Result<()> {
    let (farm, proxy) = Farm::behind_its_bucket().await?;
    // So slow that it is killed at other points each time.
    proxy.set(Weather::Slow(Duration::from_millis(15)));
    let mut before = 0;
    for lifetime in [150, 280, 410, 540, 670, 800] {
        let mut fetch = command("atelier", farm.work.path());
        fetch
            .args([
                "--coordinator",
                &farm.cluster.grpc,
                "fetch",
                &farm.grid,
                "--out",
                "gallery",
            ])
            .current_dir(farm.work.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true);
        let mut fetching = fetch.spawn()?;
        let ended = tokio::time::timeout(Duration::from_millis(lifetime), fetching.wait()).await;
        if ended.is_err() {
            fetching.kill().await?;
        }
        // What is here under its own name is whole, always.
        let found = files(&farm.gallery())?;
        let pictures = found
            .keys()
            .filter(|path| path.parent().is_some_and(|it| it.ends_with("pictures")));
        let whole = pictures.filter(|path| path.extension().is_some_and(|it| it == "png"));
        let mut count = 0;
        for path in whole {
            image::open(path).with_context(|| path.display().to_string())?;
            count += 1;
        }
        assert!(count >= before);
        before = count;
    }
    proxy.set(Weather::Fair);
    let rest = farm.fetch(&["--json"]).await?.json()?;
    let fetched = rest["fetched"].as_u64().context("no count")?;
    assert!(
        fetched < rest["files"].as_u64().context("no count")?,
        "nothing was kept: {rest}"
    );
    for (path, _) in files(&farm.gallery())? {
        // What a killed program was writing stays under another name, and is no part of the gallery.
        if path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'))
        {
            std::fs::remove_file(path)?;
        }
    }
    farm.is_whole((PHOTOS * ARTISTS) as usize)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_damaged_on_its_way_or_is_missing_is_told_and_the_rest_comes() -> anyhow::Result<()>
{
    let (farm, proxy) = Farm::behind_its_bucket().await?;
    let bucket = farm.cluster.bucket().await?;
    let listed = bucket
        .list(&format!("grids/{}/pictures/", farm.grid))
        .await?;
    let [gone, also, ..] = &listed[..] else {
        anyhow::bail!("no pictures");
    };
    let bytes = bucket.get(&gone.key, 1 << 20).await?;
    for key in [&gone.key, &also.key] {
        bucket.delete(key).await?;
    }
    proxy.set(Weather::Damaging);
    let fetching = farm.fetch(&[]);
    let clearing = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        proxy.set(Weather::Fair);
    };
    let (ran, ()) = tokio::join!(fetching, clearing);
    let ran = ran?;
    assert_eq!(ran.code(), Some(3), "{}", ran.stderr);
    for key in [&gone.key, &also.key] {
        let name = key.rsplit('/').next().unwrap_or_default();
        assert!(
            ran.stderr.contains(&format!("pictures/{name}")),
            "{}",
            ran.stderr
        );
    }
    let found = files(&farm.gallery().join("pictures"))?;
    assert_eq!(found.len(), (PHOTOS * ARTISTS) as usize - 2);
    for (path, _) in found {
        image::open(&path).with_context(|| path.display().to_string())?;
    }
    // Once they are there again, one more call brings them, but not the wrong one.
    let mut wrong = bytes.clone();
    wrong.push(0);
    for (key, bytes) in [(&gone.key, bytes), (&also.key, wrong)] {
        bucket
            .put_if_absent(key, bytes.into(), "image/png", &[])
            .await?;
    }
    let ran = farm.fetch(&[]).await?;
    assert!(ran.stderr.contains("SHA-256"), "{}", ran.stderr);
    assert_ne!(ran.code(), Some(0));
    Ok(())
}

impl Farm {
    /// A command on the gallery by whoever knows the bucket and its keys, and of no coordinator.
    async fn without_a_coordinator(
        &self,
        command_name: &str,
        args: &[&str],
    ) -> anyhow::Result<tokio::process::Command> {
        let lent = self.cluster.lends().await?;
        let mut command = command("atelier", self.work.path());
        command
            .args(["--coordinator", "http://127.0.0.1:1", command_name])
            .arg(format!("s3://{}/grids/{}/", lent.bucket, self.grid))
            .args(args)
            .envs(lent.environment())
            .env("AWS_ENDPOINT_URL", lent.endpoint)
            .env("AWS_REGION", lent.region)
            .current_dir(self.work.path());
        Ok(command)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_read_the_bucket_needs_no_coordinator() -> anyhow::Result<()> {
    let mut farm = Farm::done().await?;
    let mut fetch = farm
        .without_a_coordinator("fetch", &["--out", "gallery"])
        .await?;
    // Its gRPC is named nowhere, and there are no nodes any more.
    farm.cluster.nodes[0].kill().await?;
    programs::run(&mut fetch).await?.success()?;
    farm.is_whole((PHOTOS * ARTISTS) as usize)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_shares_by_temporary_credentials_is_told_that_the_links_end_with_them()
-> anyhow::Result<()> {
    let farm = Farm::done().await?;
    for (token, is_told) in [(Some("of a session"), true), (None, false)] {
        let mut share = farm
            .without_a_coordinator("share", &["--expires", "7d"])
            .await?;
        if let Some(token) = token {
            share.env("AWS_SESSION_TOKEN", token);
        }
        let shared = programs::run(&mut share).await?;
        let told = shared
            .stderr
            .contains("these AWS credentials are temporary");
        assert_eq!(told, is_told, "{}", shared.stderr);
        let page = std::fs::read_to_string(farm.work.path().join(shared.success()?.trim()))?;
        assert_eq!(page.contains("X-Amz-Security-Token"), is_told);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn favourites_are_submitted_once_more_and_no_other_cells() -> anyhow::Result<()> {
    let farm = Farm::done().await?;
    let work = farm.work.path();
    // Cells are counted artist by artist: the first photo by the first artist, and the second one by the second.
    let list =
        serde_json::json!({"grid_id": farm.grid, "name": "Fetched", "favourites": [0, PHOTOS + 1]});
    std::fs::write(work.join("favourites.json"), list.to_string())?;
    // Their photos and paintings are in the bucket.
    for name in ["photos", "artists"] {
        std::fs::remove_dir_all(work.join(name))?;
    }
    let submit = [
        "submit",
        "--like",
        "favourites.json",
        "--set",
        "size=48",
        "--wait",
        "--json",
    ];
    let said = farm.cluster.atelier(work, &submit).await?.success()?;
    let mut found = Vec::new();
    for line in said.lines() {
        let told: serde_json::Value = serde_json::from_str(line)?;
        if told["uploaded"].is_null() {
            continue;
        }
        assert_eq!(told["uploaded"], 0, "{told}");
        let grid = told["grid_id"].as_str().context("no id")?;
        let answer = farm.cluster.grid(grid).await?;
        let grid = answer.grid.context("no grid")?;
        assert_eq!(answer.cells.len(), 1);
        let result = answer.cells[0].result.as_ref().context("not done")?;
        assert_eq!(result.width, 48);
        found.push((grid.photos[0].name.clone(), grid.artists[0].name.clone()));
    }
    found.sort();
    let pair = |number: u32| (format!("photo-{number}"), format!("artist-{number}"));
    assert_eq!(found, [pair(0), pair(1)]);

    let link = farm
        .cluster
        .atelier(work, &["submit", "--like", "https://host/#favourites=1"])
        .await?;
    assert_eq!(link.code(), Some(2));
    assert!(link.stderr.contains("of which grid"), "{}", link.stderr);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_page_shows_the_gallery_to_whoever_has_it_until_it_expires() -> anyhow::Result<()>
{
    let farm = Farm::done().await?;
    let work = farm.work.path();
    let share = |args: &[&str]| {
        [&["share", &farm.grid], args]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let run = async |args: Vec<String>| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        farm.cluster.atelier(work, &args).await
    };
    let too_long = run(share(&["--expires", "8d"])).await?;
    assert_eq!(too_long.code(), Some(2));
    assert!(
        too_long.stderr.contains("from 1s to 7d"),
        "{}",
        too_long.stderr
    );
    let shared = run(share(&["--expires", "7d", "--only", "photo=photo-0"])).await?;
    assert!(shared.stderr.contains("3 pictures"), "{}", shared.stderr);
    assert!(
        shared.stderr.contains("nobody elsewhere can follow"),
        "{}",
        shared.stderr
    );
    assert_eq!(shared.success()?.trim(), "fetched.html");
    run(share(&["--expires", "1s", "--out", "soon.html"]))
        .await?
        .success()?;
    let Some(chromium) = tools::chromium() else {
        return Ok(());
    };
    // Elsewhere than the gallery, in a browser that knows no keys.
    let elsewhere = tempfile::tempdir()?;
    for name in ["fetched.html", "soon.html"] {
        std::fs::copy(work.join(name), elsewhere.path().join(name))?;
    }
    let mut browser = Browser::start(&chromium, 1200, 900).await?;
    let url = |name: &str| format!("file://{}", elsewhere.path().join(name).display());
    browser.go(&url("fetched.html")).await?;
    let shown = "document.querySelectorAll('.cell img').length === 3 \
                 && [...document.images].every((it) => !it.src || (it.complete && it.naturalWidth > 0))";
    browser.until(shown).await?;
    assert_eq!(browser.problems, [] as [String; 0]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    browser.go(&url("soon.html")).await?;
    let gone = "[...document.querySelectorAll('.cell img')].length > 0 \
                && [...document.querySelectorAll('.cell img')].every((it) => it.complete && it.naturalWidth === 0)";
    browser.until(gone).await?;
    Ok(())
}
