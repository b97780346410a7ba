//! A PostgreSQL of one test's own.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{tls, tools};

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
        Self::start_in(settings, |_| Ok(Vec::new()))
    }

    /// A server that speaks TLS to whoever wants to, as `localhost`, and the file of the authority that vouches for it.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_with_tls() -> anyhow::Result<Option<(Self, PathBuf)>> {
        let mut authority = PathBuf::new();
        let postgres = Self::start_in(&["fsync=off"], |folder| {
            let files = identity(folder)?;
            authority.clone_from(&files.authority);
            let setting = |name: &str, file: &Path| format!("{name}={}", file.display());
            Ok(vec![
                "ssl=on".to_owned(),
                setting("ssl_cert_file", &files.certificate),
                setting("ssl_key_file", &files.key),
            ])
        })?;
        Ok(postgres.map(|postgres| (postgres, authority)))
    }

    fn start_in(
        settings: &[&str],
        further: impl FnOnce(&Path) -> anyhow::Result<Vec<String>>,
    ) -> anyhow::Result<Option<Self>> {
        let Some(programs) = tools::postgres() else {
            return Ok(None);
        };
        let folder = tempfile::Builder::new()
            .prefix("atelier-postgres")
            .tempdir()?;
        give_away(folder.path())?;
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
        let mut settings: Vec<String> = settings.iter().map(|&of| of.to_owned()).collect();
        settings.extend(further(folder.path())?);
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

/// Where a server's [`tls::Identity`] lies.
struct Identity {
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

fn identity(folder: &Path) -> anyhow::Result<Identity> {
    let identity = tls::Identity::new()?;
    let files = Identity {
        authority: folder.join("authority.pem"),
        certificate: folder.join("server.pem"),
        key: folder.join("server.key"),
    };
    std::fs::write(&files.authority, identity.authority)?;
    std::fs::write(&files.certificate, identity.certificate)?;
    std::fs::write(&files.key, identity.key)?;
    // The server refuses keys that others may read.
    std::fs::set_permissions(&files.key, Permissions::from_mode(0o600))?;
    give_away(&files.key)?;
    Ok(files)
}

/// Gives a file to the user that the server runs as: it refuses to run as root.
fn give_away(path: &Path) -> std::io::Result<()> {
    if rustix::process::getuid().is_root() {
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY))?;
    }
    Ok(())
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
