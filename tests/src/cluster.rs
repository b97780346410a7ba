//! A coordinator with its nodes, as processes of this machine.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use atelier_gallery::bucket::Bucket;
use atelier_proto::storage::Storage;
use atelier_proto::v1;
use atelier_proto::v1::grids_client::GridsClient;
use rustix::process::Signal;
use tempfile::TempDir;
use tonic::transport::Channel;

use crate::programs::{PATIENCE, Ran, Running, command, run};
use crate::proxy::Proxy;

/// gRPC and the board at ports that are free.
const ANYWHERE: [&str; 4] = ["--listen", "127.0.0.1:0", "--board-listen", "127.0.0.1:0"];
/// The same for an embedded S3 endpoint.
const S3_ANYWHERE: [&str; 2] = ["--s3-listen", "127.0.0.1:0"];

/// A coordinator with an embedded S3 endpoint, and nodes that paint with the untrained network.
///
/// Everything of it is in one temporary folder, and every process ends with it.
#[derive(Debug)]
pub struct Cluster {
    /// Logs, data folder, homes.
    pub folder: TempDir,
    /// The coordinator.
    pub coordinator: Running,
    /// URL of its gRPC.
    pub grpc: String,
    /// URL of its S3 endpoint.
    pub s3: String,
    /// URL of its board.
    pub board: String,
    /// What the coordinator was told beyond the usual.
    args: Vec<String>,
    /// Nodes, in the order they were started.
    pub nodes: Vec<Running>,
    /// Further coordinators, in the order they were started.
    pub beside: Vec<Running>,
}

impl Cluster {
    /// A coordinator alone. Leases last 3 s, so that a test sees one expire.
    pub async fn coordinator() -> anyhow::Result<Self> {
        Self::coordinator_with(&[]).await
    }

    /// A coordinator alone, with further arguments.
    pub async fn coordinator_with(args: &[&str]) -> anyhow::Result<Self> {
        Self::coordinator_in(args, &[]).await
    }

    /// A coordinator alone, and the proxy through which everybody else reaches its bucket.
    pub async fn behind_its_bucket() -> anyhow::Result<(Self, Proxy)> {
        // The address must be known before the coordinator that is told it.
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let s3 = listener.local_addr()?.to_string();
        drop(listener);
        let proxy = Proxy::to(&format!("http://{s3}")).await?;
        let public = proxy.url();
        let args = ["--s3-listen", &s3, "--s3-public-url", &public];
        let cluster = Self::started(&ANYWHERE, &args, &[]).await?;
        Ok((cluster, proxy))
    }

    /// A coordinator alone, with further arguments and an environment.
    pub async fn coordinator_in(
        args: &[&str],
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let listen = [&ANYWHERE[..], &S3_ANYWHERE].concat();
        Self::started(&listen, args, environment).await
    }

    async fn started(
        listen: &[&str],
        args: &[&str],
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut start = coordinator_command(folder.path());
        start
            .args(listen)
            .args(args)
            .envs(environment.iter().copied());
        let mut coordinator = Running::start("coordinator", &mut start, &folder)?;
        let (grpc, s3, board) = ready(&mut coordinator).await?;
        Ok(Self {
            grpc,
            s3,
            board,
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            folder,
            coordinator,
            nodes: Vec::new(),
            beside: Vec::new(),
        })
    }

    /// Kills the coordinator as `kill -9` does, and starts it again.
    pub async fn restart_coordinator(&mut self) -> anyhow::Result<()> {
        self.coordinator.kill().await?;
        self.coordinator_again().await
    }

    /// Tells the coordinator to leave, waits until it has, and starts it again, as when it is replaced by a newer one.
    pub async fn replace_coordinator(&mut self) -> anyhow::Result<()> {
        self.coordinator.signal(Signal::TERM)?;
        let status = self.coordinator.wait().await?;
        anyhow::ensure!(status.success(), "{status}:\n{}", self.coordinator.log());
        self.coordinator_again().await
    }

    /// Starts the coordinator that has ended again, at the same addresses, on the same data.
    pub async fn coordinator_again(&mut self) -> anyhow::Result<()> {
        let address = |url: &str| url.trim_start_matches("http://").to_owned();
        let mut start = coordinator_command(self.folder.path());
        start
            .args(["--listen", &address(&self.grpc)])
            .args(["--s3-listen", &address(&self.s3)])
            .args(["--board-listen", &address(&self.board)])
            .args(&self.args);
        self.coordinator = Running::start("coordinator-again", &mut start, &self.folder)?;
        ready(&mut self.coordinator).await?;
        Ok(())
    }

    /// A coordinator alone, whose data folder is a file system of its own with room for so many bytes; none where this
    /// user may not mount one. Only the coordinator sees it, and others through [`Cluster::data_folder`].
    pub async fn coordinator_on_disk(bytes: u64) -> anyhow::Result<Option<Self>> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        std::fs::create_dir_all(&data)?;
        let plain = coordinator_command(folder.path());
        let plain = plain.as_std();
        let mount = format!("mount -t tmpfs -o size={bytes} none \"$0\" || exit 77; exec \"$@\"");
        let mut start = tokio::process::Command::new("unshare");
        start
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", &mount])
            .arg(&data)
            .arg(plain.get_program())
            .args(plain.get_args())
            .args(ANYWHERE)
            .args(S3_ANYWHERE)
            .kill_on_drop(true);
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => start.env(name, value),
                None => start.env_remove(name),
            };
        }
        let mut coordinator = Running::start("coordinator", &mut start, &folder)?;
        let Ok((grpc, s3, board)) = ready(&mut coordinator).await else {
            let status = coordinator.wait().await?;
            anyhow::ensure!(
                matches!(status.code(), Some(1 | 77)),
                "{status}:\n{}",
                coordinator.log()
            );
            return Ok(None);
        };
        Ok(Some(Self {
            grpc,
            s3,
            board,
            args: Vec::new(),
            folder,
            coordinator,
            nodes: Vec::new(),
            beside: Vec::new(),
        }))
    }

    /// The coordinator's data folder, as it sees it.
    pub fn data_folder(&self) -> anyhow::Result<PathBuf> {
        let id = self.coordinator.id().context("it has ended")?;
        let root = PathBuf::from(format!("/proc/{id}/root"));
        let data = self.folder.path().join("data");
        Ok(root.join(data.strip_prefix("/")?))
    }

    /// A coordinator with `count` nodes.
    pub async fn with_nodes(count: usize) -> anyhow::Result<Self> {
        let mut cluster = Self::coordinator().await?;
        for _ in 0..count {
            cluster.start_node()?;
        }
        Ok(cluster)
    }

    /// Starts one more node. Each has one thread, so that several share the processors of this machine fairly.
    pub fn start_node(&mut self) -> anyhow::Result<()> {
        self.start_node_with(&[])
    }

    /// Starts one more node, with further arguments.
    pub fn start_node_with(&mut self, args: &[&str]) -> anyhow::Result<()> {
        let name = format!("node-{}", self.nodes.len());
        let mut start = command("atelier-node", self.folder.path());
        start
            .env("OMP_NUM_THREADS", "1")
            .args(["run", "--coordinator", &self.grpc, "--name", &name])
            .args([
                "--weights",
                "untrained",
                "--device",
                "cpu",
                "--exit-with-stdin",
            ])
            .arg("--cache")
            .arg(self.folder.path().join(&name))
            .args(args);
        self.nodes
            .push(Running::start(&name, &mut start, &self.folder)?);
        Ok(())
    }

    /// Starts a process of nodes that render nothing and answer all the same, at the coordinator with this URL.
    pub fn start_simulated(&mut self, coordinator: &str, args: &[&str]) -> anyhow::Result<()> {
        self.start_simulated_in(coordinator, args, &[])
    }

    /// Starts such a process with an environment.
    pub fn start_simulated_in(
        &mut self,
        coordinator: &str,
        args: &[&str],
        environment: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        let name = format!("simulated-{}", self.nodes.len());
        let mut start = command("atelier-node", self.folder.path());
        start
            .args(["run", "--coordinator", coordinator, "--name", &name])
            .args(["--renderer", "simulated", "--exit-with-stdin"])
            .arg("--cache")
            .arg(self.folder.path().join(&name))
            .args(args)
            .envs(environment.iter().copied());
        self.nodes
            .push(Running::start(&name, &mut start, &self.folder)?);
        Ok(())
    }

    /// Starts one more coordinator; its URL. Where its bucket and its database are is for the arguments to say.
    pub async fn start_beside(
        &mut self,
        args: &[&str],
        environment: &[(&str, &str)],
    ) -> anyhow::Result<String> {
        let name = format!("beside-{}", self.beside.len());
        let folder = self.folder.path().join(&name);
        let mut start = coordinator_command(&folder);
        start
            .args(ANYWHERE)
            .args(args)
            .envs(environment.iter().copied());
        let mut coordinator = Running::start(&name, &mut start, &self.folder)?;
        let (grpc, ..) = ready(&mut coordinator).await?;
        self.beside.push(coordinator);
        Ok(grpc)
    }

    /// Runs `atelier` against this coordinator, in `folder`.
    pub async fn atelier(&self, folder: &Path, args: &[&str]) -> anyhow::Result<Ran> {
        let mut command = command("atelier", self.folder.path());
        command.args(["--coordinator", &self.grpc]).args(args);
        run(command.current_dir(folder)).await
    }

    /// The coordinator's own interface, for what the client does not show.
    pub async fn grids(&self) -> anyhow::Result<GridsClient<Channel>> {
        Ok(GridsClient::connect(self.grpc.clone()).await?)
    }

    async fn storage(&self) -> anyhow::Result<v1::Storage> {
        let response = self.grids().await?.storage(v1::StorageRequest {}).await?;
        response.into_inner().storage.context("no storage")
    }

    /// The bucket.
    pub async fn bucket(&self) -> anyhow::Result<Bucket> {
        Ok(Bucket::connect(&Storage::try_from(self.storage().await?)?).await?)
    }

    /// What others need to keep their bytes in its bucket.
    pub async fn lends(&self) -> anyhow::Result<Lent> {
        let storage = self.storage().await?;
        let keys = storage.credentials.context("no keys")?;
        Ok(Lent {
            bucket: storage.bucket,
            region: storage.region,
            endpoint: storage.endpoint,
            access_key_id: keys.access_key_id,
            secret_access_key: keys.secret_access_key,
        })
    }

    /// Submits what [`crate::pictures::grid`] left in a folder, with further arguments; its id.
    pub async fn submit(&self, folder: &Path, args: &[&str]) -> anyhow::Result<String> {
        let inputs = ["submit", "--photos", "photos/*.png", "--artists", "artists"];
        let submit = [&inputs[..], &["--json"], args].concat();
        let answer = self.atelier(folder, &submit).await?.success()?;
        // With --wait a second line tells how it ended.
        let first = answer.lines().next().context("no answer")?;
        let answer: serde_json::Value = serde_json::from_str(first)?;
        let grid = answer["grid_id"].as_str().context("no id")?;
        Ok(grid.to_owned())
    }

    /// A grid with all its cells as they stand.
    pub async fn grid(&self, grid: &str) -> anyhow::Result<v1::GetResponse> {
        let request = v1::GetRequest {
            grid_id: grid.to_owned(),
        };
        Ok(self.grids().await?.get(request).await?.into_inner())
    }

    /// Asks again and again for the grid until `wanted` finds what it looks for.
    pub async fn until<T>(
        &self,
        grid: &str,
        what: &str,
        wanted: impl Fn(&v1::GetResponse) -> Option<T>,
    ) -> anyhow::Result<T> {
        let asking = async {
            loop {
                let answer = self.grid(grid).await?;
                if let Some(found) = wanted(&answer) {
                    return Ok::<_, anyhow::Error>(found);
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, asking).await {
            Ok(found) => found,
            Err(_) => anyhow::bail!("never saw {what}; coordinator:\n{}", self.coordinator.log()),
        }
    }

    /// Waits until every cell of a grid has brought its picture.
    pub async fn until_done(&self, grid: &str) -> anyhow::Result<v1::GetResponse> {
        let is_done = |cell: &v1::Cell| cell.state() == v1::CellState::Done;
        self.until(grid, "every picture", |answer| {
            answer.cells.iter().all(is_done).then(|| answer.clone())
        })
        .await
    }

    /// Waits until a grid has ended and its gallery says so.
    pub async fn until_complete(&self, grid: &str) -> anyhow::Result<v1::GetResponse> {
        self.until(grid, "a complete gallery", |answer| {
            let summary = answer.grid.as_ref()?.summary.as_ref()?;
            summary.gallery_complete.then(|| answer.clone())
        })
        .await
    }
}

/// A bucket that is elsewhere, as that of a coordinator in AWS is, and the keys to it.
#[derive(Debug, Clone)]
pub struct Lent {
    /// Its name.
    pub bucket: String,
    /// Its region.
    pub region: String,
    /// URL of what serves it.
    pub endpoint: String,
    /// The public half of the keys.
    pub access_key_id: String,
    /// The other one.
    pub secret_access_key: String,
}

impl Lent {
    /// By which a coordinator is told of the bucket.
    pub fn args(&self) -> [&str; 6] {
        [
            "--s3-bucket",
            &self.bucket,
            "--s3-region",
            &self.region,
            "--s3-endpoint",
            &self.endpoint,
        ]
    }

    /// The keys in a program's environment.
    pub fn environment(&self) -> [(&str, &str); 2] {
        [
            ("AWS_ACCESS_KEY_ID", &self.access_key_id),
            ("AWS_SECRET_ACCESS_KEY", &self.secret_access_key),
        ]
    }
}

fn coordinator_command(folder: &Path) -> tokio::process::Command {
    let mut start = command("atelier-coordinator", folder);
    start.arg("--data").arg(folder.join("data")).args([
        "--lease-duration",
        "3s",
        "--exit-with-stdin",
    ]);
    start
}

/// The addresses that a coordinator says it serves at: gRPC, S3 where it is embedded, and its board.
async fn ready(coordinator: &mut Running) -> anyhow::Result<(String, String, String)> {
    let line = coordinator.line().await?;
    let ready: serde_json::Value = serde_json::from_str(&line)?;
    let url = |what: &str| ready["ready"][what].as_str().map(str::to_owned);
    let grpc = url("grpc").with_context(|| format!("{ready} names no grpc"))?;
    let board = url("board").with_context(|| format!("{ready} names no board"))?;
    Ok((grpc, url("s3").unwrap_or_default(), board))
}
