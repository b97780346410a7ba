//! Goal: whoever connects and says nothing, or half of something, is cut off after a while, and is in nobody's way.

use std::time::Duration;

use atelier_proto::clock::Stopwatch;
use atelier_tests::cluster::Cluster;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::studio::Studio;

/// What a coordinator gives to whoever connects, and more than that.
const OPENING: Duration = Duration::from_secs(10);
const MORE: Duration = Duration::from_secs(40);

/// The beginning of a `ClientHello`, after which more must come.
const HALF_A_HELLO: [u8; 6] = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01];

async fn half_open(url: &str, said: &[u8]) -> anyhow::Result<TcpStream> {
    let address = url.split("://").nth(1).unwrap_or_default();
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(said).await?;
    Ok(stream)
}

/// How long it takes until the other side hangs up.
async fn hung_up(mut stream: TcpStream) -> anyhow::Result<Duration> {
    let since = Stopwatch::start();
    let mut rest = Vec::new();
    // Cut off or closed, it is over.
    let _ = tokio::time::timeout(MORE, stream.read_to_end(&mut rest)).await?;
    Ok(since.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn half_open_connections_end_and_hold_up_nobody() -> anyhow::Result<()> {
    let studio = Studio::open().await?;
    let plain = Cluster::coordinator().await?;
    let tls = &studio.cluster;
    let mut silent = Vec::new();
    for url in [&tls.grpc, &tls.s3, &tls.board] {
        silent.push(half_open(url, b"").await?);
        silent.push(half_open(url, &HALF_A_HELLO).await?);
    }
    silent.push(half_open(&plain.grpc, b"PRI * HT").await?);
    silent.push(half_open(&plain.board, b"").await?);
    for _ in 0..20 {
        silent.push(half_open(&tls.grpc, &HALF_A_HELLO).await?);
    }
    let since = Stopwatch::start();
    studio.atelier(None, &["list"]).await?.success()?;
    assert!(
        since.elapsed() < OPENING,
        "others waited for the silent ones"
    );
    for waiting in futures::future::try_join_all(silent.into_iter().map(hung_up)).await? {
        assert!(waiting < MORE, "{waiting:?}");
    }
    studio.atelier(None, &["list"]).await?.success()?;
    Ok(())
}
