//! The real programs, as processes that never outlive their test.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// How long a program may take to say or do what a test waits for. Generous: these machines are shared, and a
/// test that hangs is told by its name.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// The folder of the programs. For tests they are built first if they are older than their sources.
///
/// # Panics
/// When they do not build: without the programs there is no test.
#[expect(clippy::expect_used, reason = "without the programs there is no test")]
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let own = std::env::current_exe().expect("a program has a path");
        let beside = own.parent().expect("a folder");
        // A test is target/<profile>/deps/<name>; other programs of ours lie beside those that were built with them.
        if !beside.ends_with("deps") {
            return beside.to_owned();
        }
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = std::process::Command::new(cargo)
            // All targets: other choices would build the shared dependencies again, with other features.
            .args(["build", "--workspace", "--all-targets", "--quiet"])
            .current_dir(workspace)
            .status()
            .expect("cargo runs");
        assert!(built.success(), "the programs do not build");
        beside.parent().expect("a target folder").to_owned()
    })
}

/// A command for one of the programs, in a world of its own: its home, cache and temporary files are in `home`, and
/// none of the caller's settings reach it.
pub fn command(program: &str, home: &Path) -> Command {
    let mut command = Command::new(folder().join(program));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if ["ATELIER_", "AWS_", "XDG_", "OTEL_"]
            .iter()
            .any(|it| name.starts_with(it))
        {
            command.env_remove(&*name);
        }
    }
    command
        .env("HOME", home)
        .env("NO_COLOR", "1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        // No test fetches weights, or anything else, from elsewhere.
        .env("HTTPS_PROXY", "http://127.0.0.1:9")
        .kill_on_drop(true)
        .stdin(Stdio::null());
    command
}

/// Runs `atelier` to its end, at home in `home` and from there.
pub async fn atelier<A: AsRef<OsStr>>(
    home: &Path,
    args: impl IntoIterator<Item = A>,
) -> anyhow::Result<Ran> {
    run(command("atelier", home).args(args).current_dir(home)).await
}

/// The same with `atelier-node`.
pub async fn node<A: AsRef<OsStr>>(
    home: &Path,
    args: impl IntoIterator<Item = A>,
) -> anyhow::Result<Ran> {
    run(command("atelier-node", home).args(args).current_dir(home)).await
}

/// Runs a command to its end, within [`PATIENCE`].
pub async fn run(command: &mut Command) -> anyhow::Result<Ran> {
    let output = timeout(PATIENCE, command.output())
        .await
        .with_context(|| format!("{command:?} did not end"))?
        .with_context(|| format!("{command:?} did not start"))?;
    Ok(Ran::from(output))
}

/// What a program left.
#[derive(Debug)]
pub struct Ran {
    /// How it ended.
    pub status: ExitStatus,
    /// Its data.
    pub stdout: String,
    /// Its prose.
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ran {
    /// Its exit code; none after a signal.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Its standard output, if it ended well.
    pub fn success(self) -> anyhow::Result<String> {
        ensure!(
            self.status.success(),
            "{}:\n{}{}",
            self.status,
            self.stdout,
            self.stderr
        );
        Ok(self.stdout)
    }

    /// Its last line of standard output as JSON, if it ended well.
    pub fn json(self) -> anyhow::Result<serde_json::Value> {
        let stdout = self.success()?;
        let line = stdout.lines().last().context("it printed nothing")?;
        serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))
    }
}

/// A program that runs until its test ends it. It also ends when its standard input does, so it does not survive a
/// test that is killed.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines<BufReader<ChildStdout>>,
    log: PathBuf,
}

impl Running {
    /// Starts a program; what it logs goes to a file in `logs`.
    pub fn start(name: &str, command: &mut Command, logs: &TempDir) -> anyhow::Result<Self> {
        let log = logs.path().join(format!("{name}.log"));
        let stderr = std::fs::File::create(&log)?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("standard output is piped")?;
        Ok(Self {
            name: name.to_owned(),
            child,
            stdin,
            stdout: BufReader::new(stdout).lines(),
            log,
        })
    }

    /// The next line on its standard output.
    pub async fn line(&mut self) -> anyhow::Result<String> {
        match timeout(PATIENCE, self.stdout.next_line()).await {
            Ok(Ok(Some(line))) => Ok(line),
            Ok(Ok(None)) => anyhow::bail!("{} ended:\n{}", self.name, self.log()),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => anyhow::bail!("{} says nothing:\n{}", self.name, self.log()),
        }
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process id.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let id = self.child.id().context("it has ended")?;
        let id = Pid::from_raw(i32::try_from(id)?).context("a process id")?;
        Ok(rustix::process::kill_process(id, signal)?)
    }

    /// Kills it as `kill -9` does, and waits until it is gone.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Lets its standard input end, as when its parent dies.
    pub fn end_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits until it ends.
    pub async fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        match timeout(PATIENCE, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => anyhow::bail!("{} does not end:\n{}", self.name, self.log()),
        }
    }
}
