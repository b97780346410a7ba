//! A coordinator that speaks TLS, with certificates as `atelier certs` makes them.

use std::path::PathBuf;
use std::time::Duration;

use atelier_tests::cluster::Cluster;
use atelier_tests::programs::{PATIENCE, Ran, Running, atelier, command, run};
use tempfile::TempDir;

/// How often something is looked at that is waited for.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

pub(super) struct Studio {
    pub(super) cluster: Cluster,
    /// The folder of `atelier certs`.
    pub(super) folder: TempDir,
}

impl Studio {
    /// A coordinator called `localhost` and by its address, which knows clients by certificates and asks nobody for one.
    pub(super) async fn open() -> anyhow::Result<Self> {
        Self::with(&["--identity", "open"]).await
    }

    /// The same, which asks everybody who they are: what a coordinator that speaks TLS does unless it is told otherwise.
    pub(super) async fn asking() -> anyhow::Result<Self> {
        Self::with(&[]).await
    }

    async fn with(further: &[&str]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        certs(&folder, &["init", "--dir", "."]).await?;
        certs(&folder, &["server", "localhost", "127.0.0.1", "--dir", "."]).await?;
        let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let (certificate, key) = (
            file("server-localhost.pem"),
            file("server-localhost-key.pem"),
        );
        let (authority, revoked) = (file("ca.pem"), file("crl.pem"));
        let tls = [
            ["--tls-cert", &certificate],
            ["--tls-key", &key],
            ["--client-ca", &authority],
            ["--client-crl", &revoked],
        ];
        let args = [&tls.concat()[..], further].concat();
        let cluster = Cluster::coordinator_with(&args).await?;
        Ok(Self { cluster, folder })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `atelier certs …` in the folder.
    pub(super) async fn certs(&self, args: &[&str]) -> anyhow::Result<String> {
        certs(&self.folder, &[args, &["--dir", "."]].concat()).await
    }

    /// The arguments with which a program shows the certificate with this stem, as in `node-studio-1`, or none.
    pub(super) fn access(&self, stem: Option<&str>) -> Vec<String> {
        let file = |name: &str| self.path(name).to_string_lossy().into_owned();
        let mut args = vec!["--ca".to_owned(), file("ca.pem")];
        if let Some(stem) = stem {
            args.extend(["--cert".to_owned(), file(&format!("{stem}.pem"))]);
            args.extend(["--key".to_owned(), file(&format!("{stem}-key.pem"))]);
        }
        args
    }

    /// Runs `atelier` with a certificate.
    pub(super) async fn atelier(&self, stem: Option<&str>, args: &[&str]) -> anyhow::Result<Ran> {
        let mut command = command("atelier", self.cluster.folder.path());
        command
            .args(["--coordinator", &self.cluster.grpc])
            .args(self.access(stem))
            .args(args)
            .current_dir(self.folder.path());
        run(&mut command).await
    }

    /// A command for a node that renders nothing, with a certificate.
    pub(super) fn node(&self, stem: Option<&str>) -> tokio::process::Command {
        let mut command = simulated(self.cluster.folder.path(), &self.cluster.grpc);
        command.args(self.access(stem));
        command
    }

    /// Waits until the coordinator has logged something.
    pub(super) async fn logged(&self, wanted: impl Fn(&str) -> bool) -> anyhow::Result<()> {
        let looking = async {
            while !wanted(&self.cluster.coordinator.log()) {
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
        };
        match tokio::time::timeout(PATIENCE, looking).await {
            Ok(()) => Ok(()),
            Err(_) => anyhow::bail!("never logged:\n{}", self.cluster.coordinator.log()),
        }
    }

    /// Starts that node, and waits until it is ready to register.
    pub(super) async fn start_node(&self, stem: Option<&str>) -> anyhow::Result<Running> {
        let mut node = self.node(stem);
        node.arg("--exit-with-stdin");
        let mut node = Running::start("node", &mut node, &self.folder)?;
        node.line().await?;
        Ok(node)
    }
}

/// A command for a node that renders nothing.
pub(super) fn simulated(home: &std::path::Path, url: &str) -> tokio::process::Command {
    let mut command = command("atelier-node", home);
    command.args(["run", "--coordinator", url]).args([
        "--renderer",
        "simulated",
        "--simulated-cell-time",
        "10ms",
    ]);
    command
}

async fn certs(folder: &TempDir, args: &[&str]) -> anyhow::Result<String> {
    let home = tempfile::tempdir()?;
    // Where the certificates are, and not at home, since they are looked for beside.
    let mut command = command("atelier", home.path());
    command.arg("certs").args(args).current_dir(folder.path());
    run(&mut command).await?.success()
}

/// What is said of something that should be refused: one error, with this exit code and these words.
pub(super) fn assert_refused(ran: &Ran, code: i32, words: &str) {
    assert_eq!(ran.code(), Some(code), "{words}: {}", ran.stderr);
    assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    let errors = ran.stderr.lines().filter(|line| line.starts_with("error:"));
    assert_eq!(errors.count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("\nhint: "), "{}", ran.stderr);
}

/// Runs a command again and again until it ends as `wanted`; the last time.
pub(super) async fn until(
    what: &str,
    command: impl AsyncFn() -> anyhow::Result<Ran>,
    wanted: impl Fn(&Ran) -> bool,
) -> anyhow::Result<Ran> {
    let asking = async {
        loop {
            let ran = command().await?;
            if wanted(&ran) {
                return Ok(ran);
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(ran) => ran,
        Err(_) => anyhow::bail!("never saw {what}"),
    }
}

/// Runs `atelier` alone, at home in a folder.
pub(super) async fn alone(folder: &TempDir, args: &[&str]) -> anyhow::Result<Ran> {
    atelier(folder.path(), args).await
}
