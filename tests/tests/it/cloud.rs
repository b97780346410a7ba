//! Goal: `atelier cloud` makes, changes, shows and removes the stack of our template, and never more than that.
//!
//! moto keeps the stack; it makes one at once and starts no machines. How a slow or failing CloudFormation is told is tried
//! against a stub of ours.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use atelier_gallery::bucket::Bucket;
use atelier_proto::ids::Digest;
use atelier_tests::cluster::Cluster;
use atelier_tests::moto::{Moto, between};
use atelier_tests::programs::{Ran, command, run};
use atelier_tests::{pictures, tools};
use bytes::Bytes;
use serde_json::Value;
use tempfile::TempDir;

const CLOUD_FORMATION: &str = "2010-05-15";
const AUTO_SCALING: &str = "2011-01-01";

/// What a new stack needs.
const NEW: [&str; 6] = [
    "--coordinator-image",
    "registry.example/atelier-coordinator:1",
    "--node-image",
    "registry.example/atelier-node:1-cuda",
    "--client-cidr",
    "203.0.113.0/24",
];

/// An account of AWS, and somebody who uses it.
struct Account {
    moto: Moto,
    home: TempDir,
}

impl Account {
    async fn open() -> anyhow::Result<Option<Self>> {
        let Some(program) = tools::moto() else {
            return Ok(None);
        };
        Ok(Some(Self {
            moto: Moto::start_for_stacks(&program).await?,
            home: tempfile::tempdir()?,
        }))
    }

    async fn atelier(&self, args: &[&str]) -> anyhow::Result<Ran> {
        let mut atelier = command("atelier", self.home.path());
        atelier.args(args).envs(self.moto.environment());
        run(atelier.current_dir(self.home.path())).await
    }

    /// `atelier cloud COMMAND studio --json …`
    async fn cloud(&self, what: &str, args: &[&str]) -> anyhow::Result<Ran> {
        let yes: &[&str] = if what == "status" { &[] } else { &["--yes"] };
        let studio = [
            "cloud",
            what,
            "studio",
            "--json",
            "--poll-interval",
            "200ms",
        ];
        self.atelier(&[&studio, yes, args].concat()).await
    }

    async fn up(&self, args: &[&str]) -> anyhow::Result<Value> {
        self.cloud("up", args).await?.json()
    }

    fn profiles(&self) -> PathBuf {
        self.home.path().join(".config/atelier/profiles.toml")
    }

    async fn bucket(&self, name: &str) -> anyhow::Result<Bucket> {
        Ok(Bucket::connect(&self.moto.storage(name)).await?)
    }

    async fn group(&self) -> anyhow::Result<String> {
        let name = [("AutoScalingGroupNames.member.1", "studio-nodes")];
        let action = "DescribeAutoScalingGroups";
        self.moto
            .call("autoscaling", AUTO_SCALING, action, &name)
            .await
    }
}

async fn put(bucket: &Bucket, key: &str) -> anyhow::Result<()> {
    let bytes = Bytes::from_static(b"bytes");
    Ok(bucket.put(key, bytes, "text/plain", None).await?)
}

fn text<'a>(value: &'a Value, key: &str) -> anyhow::Result<&'a str> {
    value[key]
        .as_str()
        .with_context(|| format!("no {key} in {value}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_comes_changes_and_goes_and_its_bucket_stays() -> anyhow::Result<()> {
    let Some(account) = Account::open().await? else {
        return Ok(());
    };
    let weights = account.home.path().join("vgg.safetensors");
    std::fs::write(&weights, b"weights")?;
    let digest = Digest::of(b"weights");
    let new = [&NEW[..], &["--weights", "vgg.safetensors"]].concat();
    let made = account.up(&new).await?;
    assert_eq!(
        (&made["changed"], &made["status"]),
        (&Value::Bool(true), &"CREATE_COMPLETE".into())
    );
    let endpoint = text(&made, "endpoint")?;
    assert!(
        endpoint.starts_with("http://") && endpoint.ends_with(":7878"),
        "{made}"
    );
    let bucket = account.bucket(text(&made, "bucket")?).await?;
    let stored = bucket.get(&format!("weights/{digest}"), 100).await?;
    assert_eq!(stored, b"weights");
    let profiles = std::fs::read_to_string(account.profiles())?;
    assert!(
        profiles.contains("[profiles.studio]") && profiles.contains(endpoint),
        "{profiles}"
    );

    // Nobody serves there.
    let status = account.cloud("status", &[]).await?.json()?;
    assert_eq!(status["machines_max"], 10);
    assert!(
        text(&status, "coordinator_problem")?.contains("cannot reach"),
        "{status}"
    );
    // The profile names the file of a token, which Secrets Manager has.
    let list = ["list", "--profile", "studio", "--insecure"];
    let tokenless = account.atelier(&list).await?;
    assert_eq!(tokenless.code(), Some(2), "{}", tokenless.stderr);
    let token = account.profiles().with_file_name("studio-token");
    let named = token.to_string_lossy();
    assert!(tokenless.stderr.contains(&*named), "{}", tokenless.stderr);
    std::fs::write(&token, "0123456789abcdef0123456789abcdef")?;
    let listed = account.atelier(&list).await?;
    assert_eq!(listed.code(), Some(4), "{}", listed.stderr);
    assert!(listed.stderr.contains(endpoint), "{}", listed.stderr);

    let again = account.up(&new).await?;
    assert_eq!(again["changed"], false, "{again}");
    let changed = account.up(&["--nodes-max", "4"]).await?;
    assert_eq!(changed["changed"], true, "{changed}");
    assert!(account.group().await?.contains("<MaxSize>4<"));

    put(&bucket, "grids/a/index.html").await?;
    let unsure = account.cloud("down", &[]).await?;
    assert_eq!(unsure.code(), Some(9), "{}", unsure.stderr);
    assert!(
        unsure.stderr.contains("--even-if-grids-run"),
        "{}",
        unsure.stderr
    );
    scale(&account, "2").await?;
    let gone = account.cloud("down", &["--even-if-grids-run"]).await?;
    assert_eq!(gone.json()?["bucket_removed"], false);
    let profiles = std::fs::read_to_string(account.profiles())?;
    assert!(!profiles.contains("studio"), "{profiles}");
    assert_eq!(account.cloud("status", &[]).await?.code(), Some(3));
    assert_eq!(bucket.list("").await?.len(), 2, "the bucket is kept");
    // It can go later, too, and by then once.
    let gone = account.cloud("down", &["--delete-bucket"]).await?;
    assert_eq!(gone.json()?["bucket_removed"], true);
    assert!(bucket.check().await.is_err());
    assert_eq!(account.cloud("down", &[]).await?.code(), Some(3));
    Ok(())
}

/// Machines, as a coordinator that is at work asks for them; they are protected.
async fn scale(account: &Account, desired: &str) -> anyhow::Result<()> {
    let parameters = [
        ("AutoScalingGroupName", "studio-nodes"),
        ("DesiredCapacity", desired),
    ];
    let action = "SetDesiredCapacity";
    account
        .moto
        .call("autoscaling", AUTO_SCALING, action, &parameters)
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_goes_with_all_that_was_ever_put_into_it() -> anyhow::Result<()> {
    let Some(account) = Account::open().await? else {
        return Ok(());
    };
    let made = account.up(&NEW).await?;
    let name = text(&made, "bucket")?;
    let s3 = s3(&account);
    let versioning = aws_sdk_s3::types::VersioningConfiguration::builder()
        .status(aws_sdk_s3::types::BucketVersioningStatus::Enabled)
        .build();
    let call = s3.put_bucket_versioning().bucket(name);
    call.versioning_configuration(versioning).send().await?;
    let bucket = account.bucket(name).await?;
    for key in ["grids/a/index.html", "grids/a/index.html", "inputs/b"] {
        put(&bucket, key).await?;
    }
    bucket.delete("inputs/b").await?;
    let half = s3.create_multipart_upload().bucket(name).key("inputs/c");
    half.send().await?;

    let down = ["--even-if-grids-run", "--delete-bucket"];
    let gone = account.cloud("down", &down).await?.json()?;
    assert_eq!(gone["bucket_removed"], true);
    let buckets = s3.list_buckets().send().await?;
    assert!(buckets.buckets().is_empty(), "{buckets:?}");
    Ok(())
}

fn s3(account: &Account) -> aws_sdk_s3::Client {
    let keys = aws_sdk_s3::config::Credentials::new("test", "test", None, None, "test");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version_latest()
        .credentials_provider(keys)
        .region(aws_sdk_s3::config::Region::new(atelier_tests::moto::REGION))
        .endpoint_url(&account.moto.endpoint)
        .force_path_style(true);
    aws_sdk_s3::Client::from_conf(config.build())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_stays_while_grids_run() -> anyhow::Result<()> {
    let Some(account) = Account::open().await? else {
        return Ok(());
    };
    account.up(&NEW).await?;
    // moto runs no coordinator: a real one stands in for the stack's, reached as through a tunnel.
    let cluster = Cluster::coordinator().await?;
    let grpc = &cluster.grpc;
    let tunnel = format!("[profiles.studio]\ncoordinators = [\"{grpc}\"]\n");
    std::fs::write(account.profiles(), &tunnel)?;
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 1, 2)?;
    let grid = cluster.submit(work.path(), &["--set", "size=32"]).await?;

    let status = account.cloud("status", &[]).await?.json()?;
    assert_eq!(status["coordinator"]["grids"], 1, "{status}");
    assert_eq!(status["coordinator"]["cells_queued"], 2, "{status}");
    let refused = account.cloud("down", &[]).await?;
    assert_eq!(refused.code(), Some(9), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("1 grid has not ended"),
        "{}",
        refused.stderr
    );
    assert!(
        account.group().await?.contains("<MaxSize>10<"),
        "nothing was touched"
    );
    // What leads through a tunnel is left alone by a change.
    account.up(&["--nodes-max", "4"]).await?;
    assert_eq!(std::fs::read_to_string(account.profiles())?, tunnel);

    let cancel = ["cancel", &grid];
    cluster.atelier(work.path(), &cancel).await?.success()?;
    account.cloud("down", &[]).await?.success()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_ours_or_makes_no_sense_is_left_alone() -> anyhow::Result<()> {
    let Some(account) = Account::open().await? else {
        return Ok(());
    };
    let template = "{\"Resources\": {\"Topic\": {\"Type\": \"AWS::SNS::Topic\"}}}";
    let theirs = [("StackName", "studio"), ("TemplateBody", template)];
    let moto = &account.moto;
    moto.call("cloudformation", CLOUD_FORMATION, "CreateStack", &theirs)
        .await?;
    for (what, args) in [("up", &NEW[..]), ("status", &[]), ("down", &[])] {
        let refused = account.cloud(what, args).await?;
        assert_eq!(refused.code(), Some(9), "{}", refused.stderr);
        assert!(
            refused.stderr.contains("is no atelier"),
            "{}",
            refused.stderr
        );
    }
    for (args, words) in [
        (&["up", "lab"][..], "--coordinator-image"),
        (
            &["up", "lab", "--client-cidr", "203.0.113.7"],
            "--client-cidr \"203.0.113.7\"",
        ),
        (&["up", "lab", "--nodes-min", "20"], "a new stack needs"),
        (&["up", "lab", "--weights", "nowhere.h5"], "nowhere.h5"),
        (&["up", "lab", "--set", "Nodes=3"], "did you mean"),
        (&["up", "2nd"], "begins with a letter"),
    ] {
        let args = [&["cloud"], args, &["--yes"]].concat();
        let refused = account.atelier(&args).await?;
        assert_eq!(refused.code(), Some(2), "{args:?}: {}", refused.stderr);
        assert!(
            refused.stderr.contains(words),
            "{args:?}: {}",
            refused.stderr
        );
    }
    let digest = Digest::of(b"weights").to_string();
    let elsewhere = [
        &["cloud", "up", "lab", "--yes", "--weights", &digest],
        &NEW[..],
    ]
    .concat();
    let refused = account.atelier(&elsewhere).await?;
    assert!(
        refused.stderr.contains("of a new stack is empty"),
        "{}",
        refused.stderr
    );
    // Nobody is asked where nobody can answer, but told.
    let silent = account
        .atelier(&[&["cloud", "up", "lab"], &NEW[..]].concat())
        .await?;
    assert_eq!(silent.code(), Some(2), "{}", silent.stderr);
    for words in ["lab in us-east-1 is to be made", "= at most", "--yes"] {
        assert!(silent.stderr.contains(words), "{words}: {}", silent.stderr);
    }
    let unknown = account.atelier(&["list", "--profile", "lab"]).await?;
    assert_eq!(unknown.code(), Some(3), "{}", unknown.stderr);

    let stacks = moto
        .call("cloudformation", CLOUD_FORMATION, "DescribeStacks", &[])
        .await?;
    assert_eq!(between(&stacks, "StackName"), ["studio"]);
    assert!(!Path::new(&account.profiles()).exists());
    Ok(())
}
