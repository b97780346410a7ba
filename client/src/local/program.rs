//! One child process: where its program is, how it is started, heard and stopped, and what it said last.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::error::{LastWords, LocalError};
use crate::text::printable;

/// Of the environment's settings, those that children heed too.
const INHERITED: [&str; 3] = ["ATELIER_LOG", "ATELIER_LOG_FORMAT", "ATELIER_CACHE_MIB_MAX"];
/// What is shown of a log: so many lines, of so many bytes together.
const TAIL_LINES_MAX: usize = 8;
const TAIL_BYTES_MAX: u64 = 4096;
/// A log that is longer when a program starts is put aside, as `.log.1`.
const LOG_BYTES_MAX: u64 = 16 << 20;

/// A child process that dies with us.
#[derive(Debug)]
pub(super) struct Program {
    child: Child,
    /// Held open: the child leaves when it ends.
    stdin: Option<ChildStdin>,
    /// Held open: a child that writes into a closed pipe would break.
    stdout: Option<Lines<BufReader<ChildStdout>>>,
    log: PathBuf,
    /// Length of the log when this process started; before, others wrote.
    log_start: u64,
}

/// One of our programs: the one beside this program, or else on the PATH.
pub fn program(name: &str) -> Option<PathBuf> {
    let beside = std::env::current_exe().ok();
    let beside = beside.as_deref().and_then(Path::parent).map(Path::to_owned);
    let path = std::env::var_os("PATH").unwrap_or_default();
    beside
        .into_iter()
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

/// A command for one of our programs: the one beside this program, or else on the PATH.
pub(super) fn command(name: &'static str) -> Result<Command, LocalError> {
    let program = program(name).ok_or(LocalError::NoProgram { name })?;
    let mut command = Command::new(program);
    for (variable, _) in std::env::vars_os() {
        let variable = variable.to_string_lossy();
        if variable.starts_with("ATELIER_") && !INHERITED.contains(&&*variable) {
            command.env_remove(&*variable);
        }
    }
    Ok(command)
}

impl Program {
    /// Starts a command that logs into `logs/<name>.log` below `data`.
    pub(super) fn start(name: &str, mut command: Command, data: &Path) -> Result<Self, LocalError> {
        let log = data.join("logs").join(format!("{name}.log"));
        let (stderr, log_start) = open_log(&log).map_err(|source| LocalError::Folder {
            path: log.clone(),
            source,
        })?;
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            // Ctrl-C goes to every process of the terminal's group; these shall leave in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let mut child = child.map_err(|source| LocalError::Start {
            program: command.as_std().get_program().into(),
            source,
        })?;
        Ok(Self {
            stdin: child.stdin.take(),
            stdout: child
                .stdout
                .take()
                .map(|stdout| BufReader::new(stdout).lines()),
            child,
            log,
            log_start,
        })
    }

    /// The next line on its standard output; `None` when there will be no more.
    pub(super) async fn line(&mut self) -> Option<String> {
        self.stdout.as_mut()?.next_line().await.ok()?
    }

    /// Waits until it has ended. May be dropped and called again.
    pub(super) async fn ended(&mut self) -> Option<ExitStatus> {
        self.child.wait().await.ok()
    }

    /// Asks it to end, and after `grace` makes it.
    pub(super) async fn stop(&mut self, grace: Duration) {
        let id = self
            .child
            .id()
            .and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(id) = id {
            // It may have ended in this moment, which is as well.
            let _ = kill_process(id, Signal::TERM);
        }
        drop(self.stdin.take());
        if tokio::time::timeout(grace, self.child.wait())
            .await
            .is_err()
        {
            tracing::warn!(log = %self.log.display(), "a program did not leave when asked, and is killed");
            let _ = self.child.kill().await;
        }
    }

    /// How it ended, if it has, and what it logged last.
    pub(super) fn last_words(&self, status: Option<ExitStatus>) -> LastWords {
        LastWords {
            ended: status.map_or_else(|| "it still runs".to_owned(), |status| status.to_string()),
            code: status.and_then(|status| status.code()),
            log: self.log.clone(),
            // The log itself is named as well, so one that cannot be read here is no loss.
            tail: tail(&self.log, self.log_start).unwrap_or_default(),
        }
    }
}

/// Opens a log for appending, and says how long it is.
fn open_log(path: &Path) -> std::io::Result<(File, u64)> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    if std::fs::metadata(path).is_ok_and(|about| about.len() > LOG_BYTES_MAX) {
        std::fs::rename(path, path.with_extension("log.1"))?;
    }
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

/// The last lines of a file, not before `start`.
fn tail(path: &Path, start: u64) -> std::io::Result<Vec<String>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let last = length.saturating_sub(TAIL_BYTES_MAX).max(start);
    file.seek(SeekFrom::Start(last))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES_MAX).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let first = lines.len().saturating_sub(TAIL_LINES_MAX);
    Ok(lines[first..].iter().map(|line| printable(line)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, data: &Path) -> Program {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        Program::start("shell", command, data).unwrap()
    }

    #[tokio::test]
    async fn a_program_is_heard_and_its_last_words_are_kept() {
        let data = tempfile::tempdir().unwrap();
        let script =
            "echo ready; for line in 1 2 3 4 5 6 7 8 9; do echo \"error: $line\" >&2; done; exit 2";
        let mut program = shell(script, data.path());
        assert_eq!(program.line().await.as_deref(), Some("ready"));
        assert_eq!(program.line().await, None);
        let status = program.ended().await;
        let words = program.last_words(status);
        assert!(words.is_for_good());
        assert_eq!(words.tail.len(), TAIL_LINES_MAX);
        assert_eq!(words.tail.last().map(String::as_str), Some("error: 9"));
        let mut later = shell("echo once >&2", data.path());
        let status = later.ended().await;
        assert_eq!(
            later.last_words(status).tail,
            ["once"],
            "not what was logged before"
        );
    }

    #[tokio::test]
    async fn one_that_does_not_leave_when_asked_is_killed() {
        let data = tempfile::tempdir().unwrap();
        let mut program = shell(
            "trap '' TERM; echo deaf; while :; do sleep 0.05; done",
            data.path(),
        );
        assert_eq!(program.line().await.as_deref(), Some("deaf"));
        program.stop(Duration::from_millis(200)).await;
        assert_eq!(program.ended().await.and_then(|status| status.code()), None);
    }

    #[tokio::test]
    async fn one_whose_parent_goes_sees_its_standard_input_end() {
        let data = tempfile::tempdir().unwrap();
        let mut program = shell("echo waiting; cat; echo gone", data.path());
        assert_eq!(program.line().await.as_deref(), Some("waiting"));
        drop(program.stdin.take());
        assert_eq!(program.line().await.as_deref(), Some("gone"));
    }
}
