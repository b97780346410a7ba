//! What nodes and coordinators tell Prometheus.

use std::collections::BTreeMap;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::programs::Running;

/// The URL of the metrics of a node that was started with `--metrics`, as its first line names it.
pub async fn served_at(node: &mut Running) -> anyhow::Result<String> {
    let ready: serde_json::Value = serde_json::from_str(&node.line().await?)?;
    let url = ready["ready"]["metrics"].as_str();
    Ok(url.context("no metrics")?.to_owned())
}

/// The metrics at a URL: values by name and labels.
pub async fn scrape(url: &str) -> anyhow::Result<BTreeMap<String, String>> {
    scraped(url, "").await
}

/// The same, for somebody with this token.
pub async fn scrape_as(url: &str, token: &str) -> anyhow::Result<BTreeMap<String, String>> {
    scraped(url, &format!("Authorization: Bearer {token}\r\n")).await
}

/// `header` is nothing, or a line of a header with its end.
async fn scraped(url: &str, header: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let address = url
        .strip_prefix("http://")
        .and_then(|rest| rest.strip_suffix("/metrics"))
        .with_context(|| format!("{url} is another address"))?;
    let mut stream = TcpStream::connect(address).await?;
    let request =
        format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{header}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (_, text) = answer.split_once("\r\n\r\n").context("no body")?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let values = lines.map(|line| {
        let (name, value) = line.rsplit_once(' ').context("a name and a value")?;
        Ok((name.to_owned(), value.to_owned()))
    });
    values.collect()
}
