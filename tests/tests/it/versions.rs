//! Goal: programs say what they are a build of, a machine what it has to render on, and those of versions that do not
//! understand one another say so before anything else.

use anyhow::Context as _;
use atelier_proto::v1;
use atelier_proto::version::{self, METADATA_KEY, VERSION};
use atelier_tests::cluster::Cluster;
use atelier_tests::programs::{command, run};
use tonic::{Code, Request};

/// `0.1.0 (abc1234def 2026-11-25)`, `… modified)` or `(unknown)`.
fn is_build(text: &str) -> bool {
    let inner = text
        .strip_prefix(&format!("{VERSION} ("))
        .and_then(|rest| rest.strip_suffix(')'));
    let words: Vec<&str> = inner.unwrap_or_default().split(' ').collect();
    match words[..] {
        ["unknown"] => true,
        [commit, date] | [commit, date, "modified"] => {
            commit.len() == 10
                && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
                && date.parse::<jiff::civil::Date>().is_ok()
        }
        _ => false,
    }
}

#[tokio::test]
async fn programs_say_what_they_are_a_build_of() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    for (program, more) in [
        ("atelier", vec![]),
        ("atelier-coordinator", vec![]),
        ("atelier-node", vec!["libtorch"]),
    ] {
        let short = run(command(program, home.path()).arg("-V")).await?;
        let (name, build) = short.stdout.trim().split_once(' ').context("two words")?;
        assert_eq!(name, program);
        assert!(is_build(build), "{build}");
        let long = run(command(program, home.path()).arg("--version")).await?;
        let mut lines = long.stdout.lines();
        assert_eq!(lines.next(), Some(short.stdout.trim()));
        let names: Vec<&str> = lines
            .filter_map(|line| Some(line.split_once(' ')?.0))
            .collect();
        assert_eq!(
            names,
            [vec!["target", "rustc"], more].concat(),
            "{}",
            long.stdout
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_node_lists_what_its_machine_has() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let ran = run(command("atelier-node", home.path()).args(["devices", "--json"])).await?;
    assert_eq!(ran.code(), Some(0), "{}", ran.stderr);
    let told: serde_json::Value = serde_json::from_str(&ran.stdout)?;
    assert_eq!(told["devices"][0]["device"], "cpu");
    assert!(told["devices"][0]["cores"].as_u64() >= Some(1), "{told}");
    let folder = told["libtorch"]["folder"].as_str().context("a folder")?;
    assert!(
        std::path::Path::new(folder)
            .join("libtorch_cpu.so")
            .exists()
    );
    let ran = run(command("atelier-node", home.path()).arg("devices")).await?;
    assert!(
        ran.stdout.contains("--device auto takes "),
        "{}",
        ran.stdout
    );
    Ok(())
}

#[tokio::test]
async fn a_coordinator_turns_away_programs_that_it_does_not_understand() -> anyhow::Result<()> {
    let cluster = Cluster::coordinator().await?;
    let mut grids = cluster.grids().await?;
    let told = |version: Option<&'static str>| {
        let mut request = Request::new(v1::ListRequest::default());
        if let Some(version) = version {
            let metadata = request.metadata_mut();
            metadata.insert(METADATA_KEY, version.parse().unwrap());
        }
        request
    };
    for version in [None, Some(VERSION), Some("main")] {
        let answer = grids.list(told(version)).await?;
        let theirs = answer.metadata().get(METADATA_KEY);
        assert_eq!(theirs.context("a version")?.to_str()?, VERSION);
        assert_eq!(version::doubt(answer.metadata()), None);
    }
    let refused = grids.list(told(Some("99.0.0"))).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    assert!(refused.message().contains("\"99.0.0\""), "{refused}");
    Ok(())
}
