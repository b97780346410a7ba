//! Goal: a download of libtorch that breaks off costs only what was not yet there.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;

use tokio::process::Command;

const CONTENT: &[u8] = b"the libraries of a wheel, more or less";

/// Answers the first request with the head of the whole and only ten bytes of it, and the second as its range asks;
/// gives back the range.
fn break_off_once(listener: &TcpListener) -> anyhow::Result<Option<String>> {
    let mut range = None;
    for (status, from, until) in [
        ("200 OK", 0, 10),
        ("206 Partial Content", 10, CONTENT.len()),
    ] {
        let (mut stream, _) = listener.accept()?;
        for line in BufReader::new(stream.try_clone()?).lines() {
            let line = line?;
            if line.is_empty() {
                break;
            }
            if let Some(asked) = line.strip_prefix("Range: ") {
                range = Some(asked.to_owned());
            }
        }
        let length = CONTENT.len() - from;
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        )?;
        stream.write_all(&CONTENT[from..until])?;
    }
    Ok(range)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_download_goes_on_where_it_stopped() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/wheel", listener.local_addr()?);
    // Not a task of the runtime, which would wait for it when the test fails early.
    let server = std::thread::spawn(move || break_off_once(&listener));
    let folder = tempfile::tempdir()?;
    let part = folder.path().join("wheel.part");
    let fetch =
        "import sys, pathlib, bootstrap; bootstrap.fetch(sys.argv[1], pathlib.Path(sys.argv[2]))";
    let bootstrap = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/libtorch");
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let run = async || {
        let mut command = Command::new(&python);
        command
            .args(["-c", fetch, &url])
            .arg(&part)
            .env("PYTHONPATH", &bootstrap)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("no_proxy", "127.0.0.1");
        atelier_tests::programs::run(&mut command).await
    };
    let broken = run().await?;
    assert!(
        broken.stderr.contains("the connection ended after"),
        "{}",
        broken.stderr
    );
    assert_eq!(std::fs::read(&part)?, &CONTENT[..10]);
    run().await?.success()?;
    assert_eq!(std::fs::read(&part)?, CONTENT);
    let range = server
        .join()
        .map_err(|_| anyhow::anyhow!("the server panicked"))??;
    assert_eq!(range.as_deref(), Some("bytes=10-"));
    Ok(())
}
