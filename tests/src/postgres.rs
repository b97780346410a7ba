//! A PostgreSQL of one test's own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::tools;

/// How long it may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(30);
/// Debian's `nobody` and `nogroup`.
const NOBODY: u32 = 65_534;

/// A server with a data folder of its own, which ends with it.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    folder: TempDir,
    port: u16,
    server: Child,
    databases: AtomicU32,
    settings: Vec<String>,
}

impl Postgres {
    /// A server that forgets what it had if the machine loses power, which tests do not look at; `None`, said aloud, where
    /// PostgreSQL is not installed.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start() -> anyhow::Result<Option<Self>> {
        Self::start_with(&["fsync=off"])
    }

    /// A server with these settings, as `name=value`.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_with(settings: &[&str]) -> anyhow::Result<Option<Self>> {
        let Some(programs) = tools::postgres() else {
            return Ok(None);
        };
        let folder = tempfile::Builder::new()
            .prefix("atelier-postgres")
            .tempdir()?;
        if rustix::process::getuid().is_root() {
            // It refuses to run as root.
            std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY))?;
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut initdb = as_nobody(&programs.join("initdb"));
        let data = folder.path().join("data");
        initdb
            .arg("-D")
            .arg(&data)
            .args("-U postgres -A trust --no-sync -E UTF8 --locale=C".split(' '));
        let made = initdb.output().context("initdb")?;
        ensure!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
        let server = serve(&programs, folder.path(), port, &settings)?;
        let postgres = Self {
            programs,
            folder,
            port,
            server,
            databases: AtomicU32::new(0),
            settings,
        };
        postgres.wait_until_it_serves()?;
        Ok(Some(postgres))
    }

    /// URL of a new, empty database.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn database(&self) -> anyhow::Result<String> {
        let name = format!("atelier_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(format!(
            "postgres://postgres@127.0.0.1:{}/{name}",
            self.port
        ))
    }

    /// Executes a statement in a database; what `psql` prints, unaligned.
    ///
    /// # Errors
    /// When the statement fails.
    pub fn execute(&self, database: &str, statement: &str) -> anyhow::Result<String> {
        let said = Command::new(self.programs.join("psql"))
            .args(["-h", "127.0.0.1", "-U", "postgres", "-X", "-q", "-A", "-t"])
            .args(["-v", "ON_ERROR_STOP=1", "-p", &self.port.to_string()])
            .args(["-d", database, "-c", statement])
            .output()?;
        ensure!(
            said.status.success(),
            "{statement}: {}",
            String::from_utf8_lossy(&said.stderr)
        );
        Ok(String::from_utf8_lossy(&said.stdout).into_owned())
    }

    /// Stops the server as a machine that is switched off does, or politely, and starts it again.
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart(&mut self, rudely: bool) -> anyhow::Result<()> {
        self.stop(if rudely { Signal::QUIT } else { Signal::INT })?;
        self.server = serve(
            &self.programs,
            self.folder.path(),
            self.port,
            &self.settings,
        )?;
        self.wait_until_it_serves()
    }

    /// Cuts every connection but the one that asks for it.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn cut_connections(&self) -> anyhow::Result<()> {
        self.execute(
            "postgres",
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE pid <> pg_backend_pid() AND datname IS NOT NULL",
        )?;
        Ok(())
    }

    fn stop(&mut self, signal: Signal) -> anyhow::Result<()> {
        if let Some(pid) = Pid::from_raw(self.server.id() as i32) {
            kill_process(pid, signal)?;
        }
        self.server.wait()?;
        Ok(())
    }

    fn wait_until_it_serves(&self) -> anyhow::Result<()> {
        #[expect(clippy::disallowed_methods, reason = "a real server takes real time")]
        let begun = Instant::now();
        while self.execute("postgres", "SELECT 1").is_err() {
            ensure!(begun.elapsed() < PATIENCE, "PostgreSQL does not serve");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The folder goes next, so there is nothing that a polite stop would save.
        let _ = self.stop(Signal::QUIT);
    }
}

fn serve(programs: &Path, folder: &Path, port: u16, settings: &[String]) -> anyhow::Result<Child> {
    let mut server = as_nobody(&programs.join("postgres"));
    server
        .arg("-D")
        .arg(folder.join("data"))
        .args(["-p", &port.to_string(), "-k"])
        .arg(folder)
        .args(["-c", "listen_addresses=127.0.0.1"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    for setting in settings {
        server.args(["-c", setting]);
    }
    server.spawn().context("postgres")
}

/// The program as a user that it runs as, and that takes it along when this process ends.
fn as_nobody(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "QUIT"]);
    if rustix::process::getuid().is_root() {
        command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]);
    }
    command.arg(program).current_dir("/");
    command
}
