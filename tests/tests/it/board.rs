//! Goal: people see in a browser, as it happens, how grids and nodes get on, and the pictures as they come.

use anyhow::Context as _;
use atelier_tests::browser::Browser;
use atelier_tests::cluster::Cluster;
use atelier_tests::{pictures, tools};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const EVIL: &str = "<script>alert(1)</script> ride";

async fn submitted(cluster: &Cluster, args: &[&str]) -> anyhow::Result<(TempDir, String)> {
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 3, 2)?;
    let named = [&["--name", EVIL, "--set", "size=64"][..], args].concat();
    let grid = cluster.submit(work.path(), &named).await?;
    Ok((work, grid))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_shows_grids_and_nodes_as_they_change_and_galleries_as_they_grow()
-> anyhow::Result<()> {
    let Some(chromium) = tools::chromium() else {
        return Ok(());
    };
    let mut cluster = Cluster::coordinator().await?;
    let mut browser = Browser::start(&chromium, 1200, 800).await?;
    browser.go(&cluster.board).await?;
    browser
        .until("document.querySelector('#grids').textContent.includes('No grid')")
        .await?;
    // From here on, the page is never loaded anew.
    browser.value("window.isTheSame = true").await?;
    let (work, grid) = submitted(&cluster, &["--label", "zone=b"]).await?;
    let shows = |id: &str, text: &str| {
        format!("document.querySelector('#{id}').textContent.includes({text:?})")
    };
    browser.until(&shows("grids", EVIL)).await?;
    browser
        .until(&shows("grids", "waits: no node is there"))
        .await?;
    let grpc = cluster.grpc.clone();
    let slow = [
        "--simulated-cell-time",
        "500ms",
        "--simulated-batch",
        "1",
        "--dollars-per-hour",
        "3.6",
    ];
    cluster.start_simulated(&grpc, &[&slow[..], &["--label", "zone=a"]].concat())?;
    browser.until(&shows("nodes", "simulated-0")).await?;
    browser
        .until(&shows("grids", "waits: no node has zone=b"))
        .await?;
    cluster.start_simulated(&grpc, &[&slow[..], &["--label", "zone=b"]].concat())?;
    let done = "Number(document.querySelector('#grids progress')?.value)";
    browser.until(&format!("{done} > 0 && {done} < 6")).await?;
    browser.until(&shows("nodes", "$3.60 an hour")).await?;
    browser.until(&shows("nodes", EVIL)).await?;
    browser.until(&shows("nodes", "MP/s")).await?;

    // The coordinator is replaced, and the page finds it again.
    cluster.replace_coordinator().await?;
    browser.until(&format!("{done} === 6")).await?;
    browser.until(&shows("grids", "finished")).await?;
    let node = browser
        .value("document.querySelector('#nodes th').textContent")
        .await?;
    let node = node.as_str().context("no node")?;
    let quarantine = ["fleet", "quarantine", node, "--reason", "a new fan"];
    cluster.atelier(work.path(), &quarantine).await?.success()?;
    browser.until(&shows("nodes", "a new fan")).await?;
    assert_eq!(browser.value("window.isTheSame").await?, true);
    for (scheme, width) in [("light", 1200), ("dark", 320)] {
        browser.prefer(scheme, true).await?;
        browser.resize(width, 800).await?;
        browser.is_accessible().await?;
        let overflow = "document.documentElement.scrollWidth <= innerWidth";
        assert_eq!(browser.value(overflow).await?, true, "{width}");
    }
    // While the coordinator was away, the page was told so: that is no fault of the page.
    browser
        .problems
        .retain(|problem| !problem.contains("/events"));
    assert_eq!(browser.problems, [] as [String; 0]);

    // The gallery, by its link, with every picture.
    browser.resize(1200, 800).await?;
    browser.click("#grids a").await?;
    browser
        .until(&format!("location.pathname === '/grids/{grid}/'"))
        .await?;
    browser
        .until("document.querySelectorAll('.cell img').length === 6 && [...document.images].every((it) => !it.src || (it.complete && it.naturalWidth > 0))")
        .await?;
    assert_eq!(browser.problems, [] as [String; 0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gallery_grows_on_the_board_while_it_is_looked_at() -> anyhow::Result<()> {
    let Some(chromium) = tools::chromium() else {
        return Ok(());
    };
    let mut cluster = Cluster::coordinator().await?;
    let (_work, grid) = submitted(&cluster, &[]).await?;
    let grpc = cluster.grpc.clone();
    cluster.start_simulated(
        &grpc,
        &["--simulated-cell-time", "3s", "--simulated-batch", "1"],
    )?;
    cluster
        .until(&grid, "a first picture", |answer| {
            answer
                .cells
                .iter()
                .any(|cell| cell.result.is_some())
                .then_some(())
        })
        .await?;
    let mut browser = Browser::start(&chromium, 1200, 800).await?;
    browser
        .go(&format!("{}/grids/{grid}/", cluster.board))
        .await?;
    let pictures = "document.querySelectorAll('.cell img').length";
    browser
        .until(&format!("{pictures} > 0 && {pictures} < 6"))
        .await?;
    browser.value("window.isTheSame = true").await?;
    browser.until(&format!("{pictures} === 6")).await?;
    browser
        .until("document.querySelector('header').textContent.includes('6 of 6 pictures done')")
        .await?;
    assert_eq!(
        browser.value("window.isTheSame").await?,
        true,
        "it was loaded anew"
    );
    assert_eq!(browser.problems, [] as [String; 0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_hands_out_galleries_to_its_own_machine_and_nothing_else() -> anyhow::Result<()> {
    let cluster = Cluster::coordinator().await?;
    let (_work, grid) = submitted(&cluster, &[]).await?;
    let bucket = cluster.bucket().await?;
    let secret = format!("grids/{grid}/checkpoints/secret.jpg");
    bucket
        .put(&secret, "secret".into(), "image/jpeg", None)
        .await?;
    let address = cluster.board.trim_start_matches("http://").to_owned();
    let ask = async |path: &str, host: &str| {
        let mut stream = TcpStream::connect(&address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        let text = String::from_utf8_lossy(&answer).into_owned();
        let status = text
            .split(' ')
            .nth(1)
            .context("no status")?
            .parse::<u16>()?;
        Ok::<_, anyhow::Error>((status, text))
    };
    let (status, page) = ask("/", &address).await?;
    assert_eq!(status, 200);
    assert!(
        page.contains("content-security-policy: default-src 'none'"),
        "{page}"
    );
    let picture = "a picture".repeat(100_000);
    bucket
        .put(
            &format!("grids/{grid}/pictures/a--b.jpg"),
            picture.clone().into(),
            "image/jpeg",
            None,
        )
        .await?;
    let (status, answer) = ask(&format!("/grids/{grid}/pictures/a--b.jpg"), &address).await?;
    assert_eq!(status, 200);
    let (head, body) = answer.split_once("\r\n\r\n").context("no body")?;
    assert!(head.contains("content-length: 900000"), "{head}");
    assert_eq!(body, picture);
    let other = "0190b7a8-5f6e-7c3d-8a2b-1c0d9e8f7a6b";
    for path in [
        format!("/grids/{grid}/checkpoints/secret.jpg"),
        format!("/grids/{grid}/pictures/../checkpoints/secret.jpg"),
        format!("/grids/{grid}/pictures/..%2Fcheckpoints%2Fsecret.jpg"),
        format!("/grids/{other}/"),
        "/grids/..%2Finputs/a".to_owned(),
        "/inputs/a".to_owned(),
    ] {
        let (status, text) = ask(&path, &address).await?;
        assert_eq!(status, 404, "{path}: {text}");
        assert!(
            !text.contains("secret\r\n") && !text.ends_with("secret"),
            "{path}"
        );
    }
    // As a page of somebody else's would ask whose name was made to lead here.
    let (status, text) = ask("/events", "evil.example").await?;
    assert_eq!(status, 421, "{text}");
    Ok(())
}
