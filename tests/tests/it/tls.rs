//! Goal: client and node reach a coordinator by TLS where they trust who issued the certificate, and nowhere else.

use std::path::Path;

use atelier_tests::cluster::Cluster;
use atelier_tests::pictures;
use atelier_tests::programs::{Ran, Running, command, run};
use atelier_tests::tls::{Identity, Terminator};

async fn list(url: &str, trusted: &Path) -> anyhow::Result<Ran> {
    let home = tempfile::tempdir()?;
    let mut list = command("atelier", home.path());
    list.args(["--coordinator", url, "list", "--json"])
        .env("SSL_CERT_FILE", trusted);
    run(&mut list).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_behind_tls_is_reached_by_those_who_trust_its_authority() -> anyhow::Result<()>
{
    let cluster = Cluster::coordinator().await?;
    let folder = tempfile::tempdir()?;
    let identity = Identity::new()?;
    let (trusted, other) = (folder.path().join("ours"), folder.path().join("other"));
    std::fs::write(&trusted, &identity.authority)?;
    std::fs::write(&other, Identity::new()?.authority)?;
    let tls = Terminator::to(&cluster.grpc, &identity).await?;

    let grids = list(&tls.url(), &trusted).await?.json()?;
    assert_eq!(grids, serde_json::json!([]));

    let mut node = command("atelier-node", folder.path());
    node.args(["run", "--coordinator", &tls.url(), "--exit-with-stdin"])
        .args(["--renderer", "simulated", "--simulated-cell-time", "10ms"])
        .env("SSL_CERT_FILE", &trusted);
    let mut node = Running::start("node", &mut node, &folder)?;
    node.line().await?;
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 1, 2)?;
    cluster
        .submit(work.path(), &["--set", "size=32", "--wait"])
        .await?;

    // The name counts, too.
    let by_address = format!("https://{}", tls.address);
    let plain = cluster.grpc.replace("http:", "https:");
    for (url, trusted, words) in [
        (&tls.url(), &other, "does not trust who issued"),
        (&by_address, &trusted, "for another name"),
        (&plain, &trusted, "speaks no TLS"),
    ] {
        let refused = list(url, trusted).await?;
        assert_eq!(refused.code(), Some(4), "{url}: {}", refused.stderr);
        assert!(refused.stderr.contains(words), "{url}: {}", refused.stderr);
        assert_eq!(
            refused.stderr.matches("error:").count(),
            1,
            "{}",
            refused.stderr
        );
        assert_eq!(refused.stdout, "");
    }
    Ok(())
}
