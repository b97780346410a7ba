//! Goal: client and node refuse a coordinator whose certificate is expired, revoked, for another name or of somebody whom
//! they do not trust, and say which of these it is.

use std::path::Path;

use atelier_tests::cluster::Cluster;
use atelier_tests::pictures;
use atelier_tests::programs::{Ran, Running, command, run};
use atelier_tests::tls::{Authority, Identity, Terminator, Validity};

use super::studio::{assert_refused, simulated};

async fn list(url: &str, trusted: &Path) -> anyhow::Result<Ran> {
    let home = tempfile::tempdir()?;
    let mut list = command("atelier", home.path());
    list.args(["--coordinator", url, "list", "--json", "--ca"])
        .arg(trusted);
    run(&mut list).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_behind_tls_is_reached_by_those_whose_system_trusts_its_authority()
-> anyhow::Result<()> {
    let cluster = Cluster::coordinator().await?;
    let folder = tempfile::tempdir()?;
    let identity = Identity::new()?;
    let trusted = folder.path().join("ours");
    std::fs::write(&trusted, &identity.authority)?;
    let tls = Terminator::to(&cluster.grpc, &identity).await?;

    let mut list = command("atelier", folder.path());
    list.args(["--coordinator", &tls.url(), "list", "--json"])
        .env("SSL_CERT_FILE", &trusted);
    assert_eq!(run(&mut list).await?.json()?, serde_json::json!([]));

    let mut node = simulated(folder.path(), &tls.url());
    node.env("SSL_CERT_FILE", &trusted).arg("--exit-with-stdin");
    let mut node = Running::start("node", &mut node, &folder)?;
    node.line().await?;
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 1, 2)?;
    cluster
        .submit(work.path(), &["--set", "size=32", "--wait"])
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_as_it_should_be_is_told_by_what_is_wrong_with_it()
-> anyhow::Result<()> {
    let cluster = Cluster::coordinator().await?;
    let folder = tempfile::tempdir()?;
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).map(|()| path)
    };
    let (ours, other) = (Authority::new()?, Authority::new()?);
    let good = ours.server(&["localhost"], Validity::Valid)?;
    let expired = ours.server(&["localhost"], Validity::Expired)?;
    let elsewhere = ours.server(&["elsewhere.example"], Validity::Valid)?;
    let revoked = ours.server(&["localhost"], Validity::Valid)?;
    let lists = ours.revocation_list(&[&revoked])?;
    let trusted = file("trusted.pem", &(ours.pem.clone() + &lists))?;
    let distrusting = file("distrusting.pem", &other.pem)?;

    let by = async |issued: &atelier_tests::tls::Issued| {
        Terminator::with(&cluster.grpc, &issued.certificate, &issued.key).await
    };
    let good = by(&good).await?;
    assert_eq!(
        list(&good.url(), &trusted).await?.json()?,
        serde_json::json!([])
    );
    let (expired, elsewhere, revoked) = (
        by(&expired).await?,
        by(&elsewhere).await?,
        by(&revoked).await?,
    );
    let by_address = format!("https://{}", good.address);
    let no_tls = cluster.grpc.replace("http:", "https:");
    for (url, trusted, words) in [
        (good.url(), &distrusting, "does not trust who issued"),
        (expired.url(), &trusted, "has expired"),
        (elsewhere.url(), &trusted, "for another name"),
        (by_address, &trusted, "for another name"),
        (revoked.url(), &trusted, "was revoked"),
        (no_tls, &trusted, "speaks no TLS"),
    ] {
        let told = list(&url, trusted).await?;
        assert_refused(&told, 4, words);
        assert_eq!(told.stdout, "");
        let mut node = simulated(folder.path(), &url);
        let told = run(node.arg("--ca").arg(trusted)).await?;
        assert_refused(&told, 4, words);
    }
    Ok(())
}
