//! What nodes and coordinators tell Prometheus.

use std::collections::BTreeMap;

use anyhow::Context as _;

use crate::programs::Running;

/// The URL of the metrics of a node that was started with `--metrics-listen`, as its first line names it.
pub async fn served_at(node: &mut Running) -> anyhow::Result<String> {
    let ready: serde_json::Value = serde_json::from_str(&node.line().await?)?;
    let url = ready["ready"]["metrics"].as_str();
    Ok(url.context("no metrics")?.to_owned())
}

/// The metrics at a URL: values by name and labels.
pub async fn scrape(url: &str) -> anyhow::Result<BTreeMap<String, String>> {
    scraped(url, None).await
}

/// The same, for somebody with this token.
pub async fn scrape_as(url: &str, token: &str) -> anyhow::Result<BTreeMap<String, String>> {
    scraped(url, Some(token)).await
}

async fn scraped(url: &str, token: Option<&str>) -> anyhow::Result<BTreeMap<String, String>> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let mut request = http.get(url);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let text = request.send().await?.error_for_status()?.text().await?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let values = lines.map(|line| {
        let (name, value) = line.rsplit_once(' ').context("a name and a value")?;
        Ok((name.to_owned(), value.to_owned()))
    });
    values.collect()
}
