//! Goal: nodes paint with the weights that lie in the bucket by their digest, and with no others.

use anyhow::Context as _;
use atelier_proto::ids::Digest;
use atelier_tests::cluster::Cluster;
use atelier_tests::programs::{Running, command, run};
use rustix::process::Signal;

#[tokio::test(flavor = "multi_thread")]
async fn weights_come_from_the_bucket_and_stay() -> anyhow::Result<()> {
    let cluster = Cluster::coordinator().await?;
    let work = tempfile::tempdir()?;
    let file = work.path().join("vgg.safetensors");
    let mut export = command("atelier-node", work.path());
    export.args(["weights", "export", "--untrained"]).arg(&file);
    run(&mut export).await?.success()?;
    let bytes = bytes::Bytes::from(std::fs::read(&file)?);
    let digest = Digest::of(&bytes);
    let bucket = cluster.bucket().await?;
    let other = Digest::of(b"another file");
    for key in [&digest, &other] {
        let key = format!("weights/{key}");
        bucket.put(&key, bytes.clone(), "", None).await?;
    }
    let weights = format!("bucket:{digest}");
    let home = cluster.folder.path().to_owned();
    let grpc = cluster.grpc.clone();
    let start = |weights: &str| {
        let mut start = command("atelier-node", &home);
        start
            .args(["run", "--coordinator", &grpc, "--weights", weights])
            .args(["--device", "cpu"]);
        start
    };
    let run_on = |weights: &str| {
        let mut start = start(weights);
        start.arg("--exit-with-stdin");
        start
    };
    for number in 0..2 {
        let name = format!("painter-{number}");
        let mut node = Running::start(&name, &mut run_on(&weights), &cluster.folder)?;
        let ready: serde_json::Value = serde_json::from_str(&node.line().await?)?;
        let network = ready["ready"]["network"].as_str().context("no network")?;
        assert!(network.contains(&digest.to_string()[..8]), "{network}");
        let fetched = node.log().contains("fetching weights from the bucket");
        assert_eq!(fetched, number == 0, "{}", node.log());
        node.signal(Signal::TERM)?;
        assert!(node.wait().await?.success(), "{}", node.log());
    }
    // What is not whole is not painted with.
    let kept = home.join(".cache/atelier/weights").join(digest.to_string());
    std::fs::write(&kept, b"damaged")?;
    let mut node = Running::start("mender", &mut run_on(&weights), &cluster.folder)?;
    node.line().await?;
    assert!(node.log().contains("fetching them again"), "{}", node.log());
    assert_eq!(Digest::of(&std::fs::read(&kept)?), digest);
    drop(node);

    let absent = Digest::of(b"absent");
    for (digest, told) in [
        (absent, format!("put the file there as weights/{absent}")),
        (other, "is another file".to_owned()),
    ] {
        let ran = run(&mut start(&format!("bucket:{digest}"))).await?;
        assert_eq!(ran.code(), Some(3), "{}", ran.stderr);
        assert!(ran.stderr.contains(&told), "{}", ran.stderr);
    }
    Ok(())
}
