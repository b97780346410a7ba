//! Goal: every program brings completions that its shells understand, and a man page for each of its commands.

use std::collections::BTreeSet;
use std::process::Stdio;

use anyhow::Context as _;
use atelier_tests::programs::{command, run};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Each program, and some of its commands.
const PROGRAMS: [(&str, &[&str]); 3] = [
    (
        "atelier",
        &["submit", "fleet-scale", "cloud-up", "doctor", "completions"],
    ),
    ("atelier-coordinator", &["backup", "completions"]),
    ("atelier-node", &["run", "render", "weights-fetch", "bench"]),
];

/// Whether a shell finds nothing wrong in a script; `None` where the shell is not there.
async fn is_understood(shell: &str, script: &str) -> anyhow::Result<Option<bool>> {
    let option = if shell == "fish" {
        "--no-execute"
    } else {
        "-n"
    };
    let spawned = Command::new(shell)
        .arg(option)
        .stdin(Stdio::piped())
        .spawn();
    let Ok(mut child) = spawned else {
        return Ok(None);
    };
    let mut stdin = child.stdin.take().context("standard input is piped")?;
    stdin.write_all(script.as_bytes()).await?;
    drop(stdin);
    Ok(Some(child.wait().await?.success()))
}

#[tokio::test(flavor = "multi_thread")]
async fn shells_understand_the_completions_of_every_program() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    for (program, commands) in PROGRAMS {
        for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
            let mut print = command(program, home.path());
            let script = run(print.args(["completions", shell])).await?.success()?;
            for name in commands {
                let first = name.split('-').next().unwrap_or_default();
                assert!(script.contains(first), "{program} {shell}: {name}");
            }
            let understood = is_understood(shell, &script).await?;
            assert_ne!(understood, Some(false), "{program} {shell}");
            // bash is everywhere where these tests are.
            assert!(shell != "bash" || understood.is_some());
        }
        let mut print = command(program, home.path());
        let refused = run(print.args(["completions", "tcsh"])).await?;
        assert_eq!(refused.code(), Some(2), "{}", refused.stderr);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_has_a_man_page_without_a_fault() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    for (program, commands) in PROGRAMS {
        let folder = home.path().join(program).join("man1");
        let mut write = command(program, home.path());
        let written = run(write.arg("man").arg(&folder)).await?.success()?;
        assert_eq!(written.trim(), folder.display().to_string());
        let mut names = BTreeSet::new();
        for page in std::fs::read_dir(&folder)? {
            let page = page?;
            names.insert(page.file_name().to_string_lossy().into_owned());
            let mut check = Command::new("groff");
            check
                .args(["-Kutf8", "-man", "-Tutf8", "-ww", "-Wbreak", "-z"])
                .arg(page.path());
            // Where there is no groff, nobody knows.
            if let Ok(checked) = check.output().await {
                let faults = String::from_utf8_lossy(&checked.stderr);
                assert!(faults.is_empty(), "{page:?}: {faults}");
            }
        }
        assert!(names.contains(&format!("{program}.1")), "{names:?}");
        for name in commands {
            let page = format!("{program}-{name}.1");
            assert!(names.contains(&page), "{page}: {names:?}");
        }
        assert!(!names.contains(&format!("{program}-man.1")), "{names:?}");
    }
    Ok(())
}
