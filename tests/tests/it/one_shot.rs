//! Goal: one picture without a coordinator, with a report that says how it came to be.

use atelier_tests::pictures;
use atelier_tests::programs::{PATIENCE, Running, command, node};
use rustix::process::Signal;

const RENDER: [&str; 11] = [
    "render",
    "--photo",
    "photos/photo-0.png",
    "--painting",
    "artists/artist-0.png",
    "-o",
    "out.png",
    "--weights",
    "untrained",
    "--set",
    "size=48",
];

#[tokio::test]
async fn a_picture_and_its_report() -> anyhow::Result<()> {
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 1, 1)?;
    let further = [
        "--set",
        "iterations=5",
        "--set",
        "scales=2",
        "--report",
        "report.json",
    ];
    let args: Vec<&str> = RENDER.iter().chain(&further).copied().collect();
    node(work.path(), &args).await?.success()?;
    let picture = image::open(work.path().join("out.png"))?;
    assert_eq!((picture.width(), picture.height()), (48, 36));
    let report = std::fs::read(work.path().join("report.json"))?;
    let report: serde_json::Value = serde_json::from_slice(&report)?;
    assert_eq!(report["network"], "vgg16 untrained 2");
    assert_eq!(report["device"], "cpu");
    assert_eq!(report["settings"]["size"], 48);
    let evaluations = report["evaluations"].as_array().unwrap();
    // 5 at the full scale, half as many again at the half one.
    assert_eq!(evaluations.len(), 7 + 5);
    for field in ["scale", "number", "total", "content", "style", "seconds"] {
        assert!(
            evaluations[0][field].is_number(),
            "{field}: {}",
            evaluations[0]
        );
    }
    let total = |at: usize| evaluations[at]["total"].as_f64().unwrap();
    assert!(total(11) < total(7), "the loss falls within a scale");
    Ok(())
}

#[tokio::test]
async fn an_interrupted_render_goes_on_from_its_checkpoint() -> anyhow::Result<()> {
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 1, 1)?;
    let kept = work.path().join("kept");
    let further = |interval| {
        let args = ["--set", "scales=1", "--set", "iterations=300"];
        let keeping = ["--checkpoint", "kept", "--checkpoint-interval", interval];
        let report = ["--report", "report.json"];
        [RENDER.as_slice(), &args, &keeping, &report].concat()
    };
    // Interrupted as soon as there is a checkpoint, it keeps what it has come to meanwhile.
    let mut start = command("atelier-node", work.path());
    start.args(further("1ms")).current_dir(work.path());
    let mut running = Running::start("render", &mut start, &work)?;
    let first = async {
        while !kept.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, first).await?;
    running.signal(Signal::INT)?;
    assert_eq!(running.wait().await?.code(), Some(130), "{}", running.log());
    assert!(
        running.log().contains("goes on from kept"),
        "{}",
        running.log()
    );
    assert!(kept.exists() && !work.path().join("out.png").exists());

    let other = [further("1h").as_slice(), &["--set", "seed=9"]].concat();
    let refused = node(work.path(), &other).await?;
    assert_eq!(refused.code(), Some(2), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("go on from kept") && refused.stderr.contains("hint:"),
        "{}",
        refused.stderr
    );

    node(work.path(), &further("1h")).await?.success()?;
    assert!(work.path().join("out.png").exists());
    assert!(!kept.exists(), "nobody needs to go on any more");
    let report = std::fs::read(work.path().join("report.json"))?;
    let report: serde_json::Value = serde_json::from_slice(&report)?;
    let resumed_at = report["resumed_at"].as_u64().unwrap();
    let evaluations = report["evaluations"].as_array().unwrap();
    assert!(resumed_at > 0);
    assert_eq!(resumed_at + evaluations.len() as u64, 300);
    Ok(())
}

#[tokio::test]
async fn weights_are_examined_and_refused() -> anyhow::Result<()> {
    let work = tempfile::tempdir()?;
    let narrow = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../gpu-node/tests/data/keras_narrow.h5"
    );
    let checked = node(work.path(), &["weights", "check", narrow, "--json"])
        .await?
        .json()?;
    assert_eq!(checked["architecture"], "vgg16");
    assert_eq!(checked["layers"].as_array().map(Vec::len), Some(4));

    std::fs::write(work.path().join("not.safetensors"), "not weights")?;
    let refused = node(work.path(), &["weights", "check", "not.safetensors"]).await?;
    assert_eq!(refused.code(), Some(2));
    assert!(
        refused.stderr.contains("not.safetensors: it is neither"),
        "{}",
        refused.stderr
    );

    // The network that it paints with ends at conv2_2, and the default layers go deeper.
    pictures::grid(work.path(), 1, 1)?;
    let args: Vec<&str> = RENDER
        .iter()
        .map(|arg| if *arg == "untrained" { narrow } else { arg })
        .collect();
    let refused = node(work.path(), &args).await?;
    assert_eq!(refused.code(), Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("conv"), "{}", refused.stderr);
    assert!(!work.path().join("out.png").exists());
    Ok(())
}

#[tokio::test]
async fn a_node_says_what_it_lacks_by_its_exit_code() -> anyhow::Result<()> {
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 1, 1)?;
    std::fs::write(work.path().join("not.h5"), "not weights")?;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mirror = format!("http://{nobody}/vgg.h5");
    let gpu = [RENDER.as_slice(), &["--device", "cuda:99"]].concat();
    let cases: [(&[&str], i32, &str); 5] = [
        (&["weights", "fetch", "--url", &mirror], 3, &mirror),
        (&gpu, 2, "cuda:99"),
        (&["run", "--coordinator", "nonsense"], 2, "nonsense"),
        (&["run", "--coordinator", "ftp://127.0.0.1:1"], 2, "https"),
        (&["run", "--weights", "not.h5"], 2, "not.h5"),
    ];
    for (args, code, word) in cases {
        let ran = node(work.path(), args).await?;
        assert_eq!(ran.code(), Some(code), "{args:?}: {}", ran.stderr);
        assert!(
            ran.stderr.contains(word) && ran.stderr.contains("hint:"),
            "{args:?}: {}",
            ran.stderr
        );
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_rendered_is_told_by_name() -> anyhow::Result<()> {
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 1, 1)?;
    std::fs::write(work.path().join("text.png"), "not a picture")?;
    let cases: [(&[&str], i32, &str); 6] = [
        (&["--set", "sise=9"], 2, "did you mean `size`?"),
        (&["--set", "style_layers=conv9_1"], 2, "conv9_1"),
        (&["--painting", "text.png"], 2, "text.png"),
        (&["--painting", "absent.png"], 2, "absent.png"),
        (&["-o", "out.gif"], 2, ".jpg or .png"),
        (&["-o", "absent/out.png"], 8, "absent/out.png"),
    ];
    for (further, code, word) in cases {
        let base = RENDER
            .iter()
            .enumerate()
            .filter(|(at, _)| !further.contains(&"-o") || !(5..7).contains(at));
        let args: Vec<&str> = base
            .map(|(_, arg)| *arg)
            .chain(further.iter().copied())
            .collect();
        let ran = node(work.path(), &args).await?;
        assert_eq!(ran.code(), Some(code), "{further:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(word), "{further:?}: {}", ran.stderr);
        assert!(!work.path().join("out.png").exists());
    }
    Ok(())
}
