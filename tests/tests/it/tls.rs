//! Goal: the client reaches a coordinator by TLS where it trusts who issued the certificate, and nowhere else.

use std::path::Path;

use atelier_tests::cluster::Cluster;
use atelier_tests::programs::{Ran, command, run};
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
