//! Goal: what is measured can be read by programs, and what it is compared with paints with the same network.

use std::path::Path;

use atelier_tests::programs::{node, run};
use tokio::process::Command;

#[tokio::test]
async fn batches_are_measured_smallest_first_against_the_device() -> anyhow::Result<()> {
    let work = tempfile::tempdir()?;
    let args = [
        "bench",
        "--json",
        "--device",
        "cpu",
        "--precision",
        "float32",
        "--size",
        "32",
        "--iterations",
        "3",
        "--batch",
        "2,1,2",
        "--set",
        "scales=2",
    ];
    let report = node(work.path(), &args).await?.json()?;
    assert_eq!(report["device"], "cpu");
    assert_eq!(report["network"], "vgg16 untrained 2");
    assert_eq!(report["settings"]["size"], 32);
    assert!(report["peaks"]["bfloat16"].is_null(), "it does without");
    let batches = report["batches"].as_array().unwrap();
    let sizes: Vec<_> = batches.iter().map(|batch| &batch["batch"]).collect();
    assert_eq!(sizes, [1, 2]);
    for batch in batches {
        let number = |name: &str| batch[name].as_f64().unwrap_or(f64::NAN);
        let pictures = number("batch");
        let near = |left: f64, right: f64| (left / right - 1.0).abs() < 1e-6;
        assert!(near(
            number("cells_per_hour"),
            3600.0 * pictures / number("seconds")
        ));
        // Of 4 evaluations at 16 pixels and 3 at 32, whatever the batch.
        let evaluation_seconds = number("milliseconds_per_evaluation") / 1000.0;
        assert!(near(evaluation_seconds * 7.0, number("seconds")), "{batch}");
        // Multiply-adds of VGG16 down to conv5_1 for 16 × 16 and for 32 × 32 pixels, counted by hand.
        let forward = 4.0 * 73_580_544.0 + 3.0 * 294_322_176.0;
        let operations = number("operations_per_second") * number("seconds");
        assert!(near(operations, 4.0 * forward * pictures), "{batch}");
        let convolution = report["peaks"]["float32"]["convolution"].as_f64().unwrap();
        assert!(near(
            number("share_of_convolution"),
            number("operations_per_second") / convolution
        ));
        assert!(
            number("loss") > 0.0 && number("memory_bytes") > 0.0,
            "{batch}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_measured_is_told_by_name() -> anyhow::Result<()> {
    let work = tempfile::tempdir()?;
    let cases = [
        (["--batch", "0"], "--batch"),
        (["--set", "sise=9"], "did you mean `size`?"),
        (["--device", "cuda:99"], "cuda:99"),
        (["--weights", "absent.h5"], "absent.h5"),
    ];
    for (further, word) in cases {
        let ran = node(work.path(), &[&["bench"], &further[..]].concat()).await?;
        assert_eq!(ran.code(), Some(2), "{further:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(word), "{further:?}: {}", ran.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn the_untrained_network_can_be_had_as_a_file() -> anyhow::Result<()> {
    let work = tempfile::tempdir()?;
    let export = ["weights", "export", "--untrained", "vgg.safetensors"];
    node(work.path(), &export).await?.success()?;
    let check = ["weights", "check", "vgg.safetensors", "--json"];
    let checked = node(work.path(), &check).await?.json()?;
    assert_eq!(checked["architecture"], "vgg16");
    assert_eq!(checked["layers"].as_array().map(Vec::len), Some(13));
    assert_eq!(checked["deviation"][0], 0.25);

    let elsewhere = ["weights", "export", "--untrained", "absent/vgg.safetensors"];
    let refused = node(work.path(), &elsewhere).await?;
    assert_eq!(refused.code(), Some(8), "{}", refused.stderr);
    assert!(refused.stderr.contains("absent/vgg.safetensors"));
    Ok(())
}

/// Writes the same made-up comparison twice, and another once.
const SECTIONS: &str = r#"
import pathlib, sys, table
cell = {"total": 8.0, "first": {"content": 6.0, "style": 1.0}}
better = {"total": 4.0, "first": {"content": 3.0, "style": 0.5}}
run = {"seconds": 3.0, "render_seconds": 2.0, "memory_bytes": 2**30}
result = {
    "machine": {"processor": "two cores"}, "network": "untrained", "weights_sha256": "00", "check": None,
    "device": "cpu", "peer_device": "cpu", "settings": ["size=256"], "size": 256, "evaluations": 100,
    "content_weight": 1.0, "style_weight": 2.0, "cells": [("photo", "painting"), ("photo", "stubborn")],
    "ours": [run, {**run, "seconds": 5.0}],
    "peer": {"seconds": [15.0, 5.0], "stalled": [False, True], "memory_bytes": 2**30},
    "scores": {"peer": [cell, cell], "ours-1": [better, cell], "ours-2": [better, cell]},
}
path = pathlib.Path(sys.argv[1])
for key, evaluations in [("a", 100), ("b", 200), ("a", 300)]:
    table.put_section(path, key, table.section({**result, "evaluations": evaluations}))
"#;

#[tokio::test]
async fn a_comparison_takes_the_place_of_the_last_one_of_its_kind() -> anyhow::Result<()> {
    let work = tempfile::tempdir()?;
    let path = work.path().join("BENCHMARKS.md");
    let bench = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gpu-node/bench");
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut writing = Command::new(&python);
    writing
        .args(["-c", SECTIONS])
        .arg(&path)
        .env("PYTHONPATH", &bench)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    run(&mut writing).await?.success()?;
    let text = std::fs::read_to_string(&path)?;
    let at = |evaluations: &str| text.find(&format!("{evaluations} evaluations from the photo"));
    assert!(at("100").is_none(), "it was replaced:\n{text}");
    assert!(at("300") < at("200"), "it kept its place:\n{text}");
    assert_eq!(text.matches("<!-- begin: ").count(), 2);
    assert!(text.starts_with("# Benchmarks\n"));
    // 20 s against the slower of 3 and 5, and half the loss where there is one to compare with.
    assert!(
        text.contains("**4.00× the peer's cells per hour**"),
        "{text}"
    );
    assert!(text.contains("**0.500 of its loss**"), "{text}");
    Ok(())
}
