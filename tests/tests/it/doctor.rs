//! Goal: a person who does not know what is the matter is told, with what to do, and a script by the exit code.

use std::path::Path;

use anyhow::Context as _;
use atelier_tests::cluster::Cluster;
use atelier_tests::programs::{Ran, command, run};
use atelier_tests::proxy::Weather;
use atelier_tests::tls::{Identity, Terminator};
use serde_json::Value;

async fn doctor(url: &str, home: &Path, trusted: Option<&Path>) -> anyhow::Result<Ran> {
    let mut doctor = command("atelier", home);
    doctor.args(["--coordinator", url, "doctor", "--json"]);
    if let Some(trusted) = trusted {
        doctor.env("SSL_CERT_FILE", trusted);
    }
    run(&mut doctor).await
}

/// What was found of a check: its worst level, and all of its words.
fn found(ran: &Ran, check: &str) -> anyhow::Result<(String, String)> {
    let report: Value = serde_json::from_str(&ran.stdout)?;
    let findings = report["findings"].as_array().context("no findings")?;
    let of_check: Vec<&Value> = findings.iter().filter(|it| it["check"] == check).collect();
    let has = |level: &str| of_check.iter().any(|it| it["level"] == level);
    let worst = ["broken", "warning", "good"].into_iter().find(|it| has(it));
    let words = of_check
        .iter()
        .map(|it| format!("{} {}\n", it["text"], it["hint"]));
    Ok((worst.unwrap_or("none").to_owned(), words.collect()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_cluster_one_without_nodes_and_one_without_a_bucket_are_told_apart()
-> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let (mut cluster, proxy) = Cluster::behind_its_bucket().await?;
    let grpc = cluster.grpc.clone();

    let lonely = doctor(&grpc, home.path(), None).await?;
    assert_eq!(
        lonely.code(),
        Some(12),
        "{}{}",
        lonely.stdout,
        lonely.stderr
    );
    let (level, words) = found(&lonely, "nodes")?;
    assert_eq!(level, "broken");
    assert!(
        words.contains(&format!("atelier-node run --coordinator {grpc}")),
        "{words}"
    );
    for check in ["coordinator", "clock", "bucket"] {
        assert_eq!(
            found(&lonely, check)?.0,
            "good",
            "{check}: {}",
            lonely.stdout
        );
    }

    cluster.start_simulated(&grpc, &["--simulated-cell-time", "20ms"])?;
    cluster.nodes[0].line().await?;
    let healthy = doctor(&grpc, home.path(), None).await?;
    assert_eq!(
        healthy.code(),
        Some(0),
        "{}{}",
        healthy.stdout,
        healthy.stderr
    );
    assert_eq!(found(&healthy, "nodes")?.0, "good");
    let version = found(&healthy, "coordinator")?.1;
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");

    proxy.set(Weather::Cut);
    let dry = doctor(&grpc, home.path(), None).await?;
    assert_eq!(dry.code(), Some(12), "{}{}", dry.stdout, dry.stderr);
    let (level, words) = found(&dry, "bucket")?;
    assert_eq!(level, "broken", "{words}");
    assert_eq!(found(&dry, "nodes")?.0, "good");

    cluster.coordinator.kill().await?;
    let mut plain = command("atelier", home.path());
    plain.args(["--coordinator", &grpc, "doctor"]);
    let gone = run(&mut plain).await?;
    assert_eq!(gone.code(), Some(12), "{}", gone.stderr);
    assert!(
        gone.stdout.contains("✗ coordinator  cannot reach"),
        "{}",
        gone.stdout
    );
    assert!(gone.stdout.contains("hint: "), "{}", gone.stdout);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_told_of_whether_it_is_trusted_or_not() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let cluster = Cluster::coordinator().await?;
    let identity = Identity::new()?;
    let trusted = folder.path().join("ca.pem");
    std::fs::write(&trusted, &identity.authority)?;
    let other = folder.path().join("other.pem");
    std::fs::write(&other, Identity::new()?.authority)?;
    let tls = Terminator::to(&cluster.grpc, &identity).await?;
    for (trusted, level) in [(&trusted, "good"), (&other, "broken")] {
        let ran = doctor(&tls.url(), folder.path(), Some(trusted)).await?;
        let (_, words) = found(&ran, "certificate")?;
        assert!(
            words.contains("localhost") && words.contains("days left"),
            "{words}"
        );
        assert_eq!(found(&ran, "coordinator")?.0, level, "{}", ran.stdout);
    }
    let plain = cluster.grpc.replace("http:", "https:");
    let ran = doctor(&plain, folder.path(), Some(&trusted)).await?;
    assert_eq!(found(&ran, "certificate")?.0, "broken", "{}", ran.stdout);
    Ok(())
}
