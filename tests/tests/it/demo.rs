//! Goal: the demo, as a newcomer runs it, ends with a gallery; interrupted, it leaves nothing running.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use atelier_gallery::manifest::Manifest;
use atelier_tests::programs::{Running, command};
use rustix::process::Signal;

/// The demo in little: its whole way, at a size that takes seconds.
fn demo(home: &Path) -> tokio::process::Command {
    let mut demo = command("atelier", home);
    demo.current_dir(home)
        .arg("demo")
        .args(["--set", "size=64", "--set", "iterations=4"]);
    demo
}

/// Processes whose command line or environment names the folder.
fn processes_of(folder: &Path) -> anyhow::Result<Vec<String>> {
    let folder = folder.to_str().context("a plain path")?;
    let mut found = Vec::new();
    for process in std::fs::read_dir("/proc")? {
        let process = process?.path();
        let read = |file: &str| std::fs::read(process.join(file)).unwrap_or_default();
        let words = [read("cmdline"), read("environ")].concat();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        let state = String::from_utf8_lossy(&read("stat")).into_owned();
        let is_zombie = state
            .rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('Z'));
        if words.contains(folder) && !is_zombie {
            found.push(words);
        }
    }
    Ok(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_ends_with_a_gallery_and_no_process() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let ran = atelier_tests::programs::run(&mut demo(home.path())).await?;
    // No weights can be fetched here, which the person is told once, with what to do.
    let told = ran
        .stderr
        .matches("painting with the untrained network")
        .count();
    assert_eq!(told, 1, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("atelier-node weights fetch"),
        "{}",
        ran.stderr
    );
    let stdout = ran.success()?;
    let page = stdout.trim();
    assert!(page.ends_with("atelier-demo/index.html"), "{page}");
    assert!(home.path().join(page).is_file(), "{page}");
    let gallery = home.path().join("atelier-demo");
    let manifest = Manifest::from_json(&std::fs::read(gallery.join("gallery.json"))?)?;
    assert_eq!((manifest.photos.len(), manifest.artists.len()), (2, 3));
    assert!(
        manifest
            .cells
            .iter()
            .all(|cell| cell.outcome.picture.is_some())
    );
    assert_eq!(processes_of(home.path())?, Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_demo_leaves_no_process() -> anyhow::Result<()> {
    for signal in [Signal::INT, Signal::KILL] {
        let home = tempfile::tempdir()?;
        let logs = tempfile::tempdir()?;
        let mut demo = demo(home.path());
        demo.args(["--set", "iterations=2000"]);
        let mut running = Running::start("demo", &mut demo, &logs)?;
        wait_until("its coordinator and node run", || {
            let processes = processes_of(home.path())?;
            let runs = |name: &str| processes.iter().any(|process| process.contains(name));
            Ok(runs("atelier-coordinator") && runs("atelier-node"))
        })
        .await
        .with_context(|| running.log())?;
        running.signal(signal)?;
        if signal == Signal::INT {
            // `timeout` and closing terminals signal the process and its group.
            running.signal(Signal::TERM)?;
        }
        let status = running.wait().await?;
        if signal == Signal::INT {
            assert_eq!(status.code(), Some(130), "{}", running.log());
        }
        wait_until("nothing is left", || {
            Ok(processes_of(home.path())?.is_empty())
        })
        .await?;
        if signal == Signal::INT {
            let left: Vec<_> = std::fs::read_dir(home.path())?
                .map(|entry| entry.map(|entry| entry.file_name()))
                .collect::<Result<_, _>>()?;
            assert!(
                left.iter()
                    .all(|name| !name.to_string_lossy().contains("demo")),
                "{left:?}"
            );
        }
    }
    Ok(())
}

async fn wait_until(
    what: &str,
    mut holds: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    for _ in 0..600 {
        if holds()? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("never saw that {what}")
}
