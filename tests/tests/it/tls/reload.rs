//! Goal: certificates are replaced and revoked under a running coordinator: connections that are there go on, new ones get
//! what is new, a broken file changes nothing, and who is revoked is cut off.

use atelier_proto::connect::{Access, AccessOptions, Route};
use atelier_proto::v1;
use atelier_proto::v1::grids_client::GridsClient;
use atelier_tests::tls::{Authority, Validity};
use rustix::process::Signal;

use super::studio::{Studio, until};

/// A client that stays connected, with a certificate.
fn connected(studio: &Studio, stem: Option<&str>) -> anyhow::Result<GridsClient<Route>> {
    let file = |stem: &str, end: &str| studio.path(&format!("{stem}{end}"));
    let access = Access::new(AccessOptions {
        authorities: Some(studio.path("ca.pem")),
        certificate: stem.map(|stem| file(stem, ".pem")),
        key: stem.map(|stem| file(stem, "-key.pem")),
        ..AccessOptions::default()
    })?;
    let route = access.route(&[&studio.cluster.grpc], |endpoint| endpoint)?;
    Ok(GridsClient::new(route))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_for_new_connections_and_a_broken_one_for_none() -> anyhow::Result<()>
{
    let studio = Studio::open().await?;
    let mut before = connected(&studio, None)?;
    before.storage(v1::StorageRequest {}).await?;

    // Halfway through the exchange the key is that of another certificate.
    let other = Authority::new()?;
    let renewed = other.server(&["127.0.0.1"], Validity::Valid)?;
    std::fs::write(studio.path("other-ca.pem"), &other.pem)?;
    std::fs::write(studio.path("server-localhost.pem"), &renewed.certificate)?;
    studio.logged(|log| log.contains("cannot be used")).await?;
    studio.atelier(None, &["list"]).await?.success()?;
    // It is told once, however often it is looked at.
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let log = studio.cluster.coordinator.log();
    assert_eq!(log.matches("cannot be used").count(), 1, "{log}");

    std::fs::write(studio.path("server-localhost-key.pem"), &renewed.key)?;
    let other_ca = studio.path("other-ca.pem").to_string_lossy().into_owned();
    let url = &studio.cluster.grpc;
    let list = async || {
        let args = ["--coordinator", url, "--ca", &other_ca, "list"];
        super::studio::alone(&studio.folder, &args).await
    };
    until("the new certificate", list, |ran| ran.status.success()).await?;
    let told = studio.atelier(None, &["list"]).await?;
    assert!(
        told.stderr.contains("does not trust who issued"),
        "{}",
        told.stderr
    );
    // What was connected before has not noticed.
    before.storage(v1::StorageRequest {}).await?;

    let reads = |log: &str| log.matches("were read again").count();
    let coordinator = &studio.cluster.coordinator;
    let read = reads(&coordinator.log());
    coordinator.signal(Signal::HUP)?;
    studio.logged(|log| reads(log) > read).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_revoked_is_cut_off_and_nobody_else() -> anyhow::Result<()> {
    let studio = Studio::open().await?;
    studio.certs(&["client", "ann"]).await?;
    studio.certs(&["client", "bob"]).await?;
    let watch = async |stem: &str| {
        let mut client = connected(&studio, Some(stem))?;
        client.storage(v1::StorageRequest {}).await?;
        anyhow::Ok(client)
    };
    let (mut ann, mut bob) = (watch("client-ann").await?, watch("client-bob").await?);
    studio.certs(&["revoke", "ann"]).await?;
    let refused = async {
        loop {
            if let Err(status) = ann.storage(v1::StorageRequest {}).await
                && status.message().contains("was revoked")
            {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(atelier_tests::programs::PATIENCE, refused).await?;
    let log = studio.cluster.coordinator.log();
    assert!(log.contains("ended=1"), "{log}");
    bob.storage(v1::StorageRequest {}).await?;
    Ok(())
}
