//! A coordinator with an empty database, and what is asked of it.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use atelier_gallery::bucket::Bucket;
use atelier_gallery::keys::input_key;
use atelier_proto::clock::Stopwatch;
use atelier_proto::ids::{Digest, RequestId};
use atelier_proto::storage::Storage;
use atelier_proto::v1;
use atelier_proto::v1::grids_client::GridsClient;
use tempfile::TempDir;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use super::options::Scale;
use super::process;
use crate::pictures;
use crate::postgres::Postgres;
use crate::programs::{Running, command};

/// Most artists of a grid.
const ARTISTS_MAX: u32 = 400;
/// Grids of one page.
const PAGE_GRIDS: u32 = 1_000;
/// How far nodes differ in speed, so that they do not ask for work all at the same moment.
pub const NODES_SPREAD: &str = "0.3";
/// How often a call is made that a busy coordinator did not take, and the wait between.
const TRIES: u32 = 20;
const TRY_INTERVAL: Duration = Duration::from_secs(1);

/// Where the truth is to lie.
#[derive(Debug, Clone, Copy)]
pub enum Database<'a> {
    /// In the coordinator's data folder.
    Sqlite,
    /// In a new database of this server.
    Postgres(&'a Postgres),
}

impl Database<'_> {
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    /// Seconds that a database of its own has had of the processors.
    pub fn cpu_seconds(self) -> anyhow::Result<f64> {
        match self {
            Self::Sqlite => Ok(0.0),
            Self::Postgres(server) => Ok(process::cpu_seconds_of_family(postmaster(server)?)),
        }
    }
}

fn postmaster(server: &Postgres) -> anyhow::Result<u32> {
    let folder = server.execute("postgres", "SHOW data_directory")?;
    let file = Path::new(folder.trim()).join("postmaster.pid");
    let text = std::fs::read_to_string(file)?;
    Ok(text.lines().next().context("no process id")?.parse()?)
}

/// A coordinator, running.
#[derive(Debug)]
pub struct Site<'a> {
    /// Where it keeps the truth.
    pub database: Database<'a>,
    /// URL of its gRPC.
    pub grpc: String,
    /// It.
    pub coordinator: Running,
    /// What its grids take.
    pub grids: GridsClient<Channel>,
    folder: TempDir,
    photo: v1::Input,
    painting: v1::Input,
    submitted: u32,
}

/// What submitting a grid took.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// The grid.
    pub grid: String,
    /// Its cells.
    pub cells: u32,
    /// Seconds until it was accepted.
    pub seconds: f64,
    /// Bytes by which the coordinator grew meanwhile, at its peak.
    pub growth: u64,
}

/// Cells of all grids together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cells {
    /// That no node holds.
    pub queued: u64,
    /// That are rendered.
    pub done: u64,
    /// That failed.
    pub failed: u64,
    /// Grids that have ended and whose gallery does not say so yet.
    pub unpublished: u32,
}

impl<'a> Site<'a> {
    /// Starts a coordinator with a photo and a painting in its bucket.
    ///
    /// # Errors
    /// When it does not serve.
    pub async fn start(database: Database<'a>, scale: &Scale) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("atelier-bench").tempdir()?;
        let mut command = command("atelier-coordinator", folder.path());
        command
            .args(["--listen", "127.0.0.1:0", "--s3-listen", "127.0.0.1:0"])
            .arg("--no-board")
            .args(["--cells-max", &scale.cells.max(200_000).to_string()])
            // One client here fills the database of a whole studio.
            .args(["--client-calls-per-second", "100000"])
            .arg("--exit-with-stdin")
            .arg("--data")
            .arg(folder.path().join("data"));
        if let Database::Postgres(server) = database {
            command.args(["--database", &server.database()?]);
        }
        let mut coordinator = Running::start("coordinator", &mut command, &folder)?;
        let ready: serde_json::Value = serde_json::from_str(&coordinator.line().await?)?;
        let grpc = ready["ready"]["grpc"]
            .as_str()
            .context("no URL")?
            .to_owned();
        let mut grids = GridsClient::connect(grpc.clone()).await?;
        let storage = grids.storage(v1::StorageRequest {}).await?.into_inner();
        let storage = Storage::try_from(storage.storage.context("no storage")?)?;
        let bucket = Bucket::connect(&storage).await?;
        let (photo, painting) = (
            folder.path().join("photo.png"),
            folder.path().join("painting.png"),
        );
        pictures::photo(&photo, 0)?;
        pictures::painting(&painting, 0)?;
        Ok(Self {
            database,
            grpc,
            coordinator,
            grids,
            photo: put(&bucket, &photo).await?,
            painting: put(&bucket, &painting).await?,
            folder,
            submitted: 0,
        })
    }

    /// The coordinator's process.
    ///
    /// # Errors
    /// When it has ended.
    pub fn process(&self) -> anyhow::Result<u32> {
        let ended = || format!("the coordinator ended:\n{}", self.coordinator.log());
        self.coordinator.id().with_context(ended)
    }

    /// Submits a grid.
    ///
    /// # Errors
    /// When it is not accepted.
    pub async fn submit(&mut self, cells: u32) -> anyhow::Result<Submission> {
        let (photos, artists) = sides(cells);
        self.submitted += 1;
        let photo = |number| v1::Photo {
            name: format!("photo {number}"),
            input: Some(self.photo.clone()),
            ..v1::Photo::default()
        };
        let artist = |number| v1::Artist {
            name: format!("artist {number}"),
            paintings: vec![v1::Painting {
                name: "painting".to_owned(),
                input: Some(self.painting.clone()),
                weight: 1.0,
                ..v1::Painting::default()
            }],
            settings: None,
        };
        let request = v1::SubmitRequest {
            request_id: RequestId::generate().to_string(),
            name: format!("grid {}", self.submitted),
            photos: (1..=photos).map(photo).collect(),
            artists: (1..=artists).map(artist).collect(),
            ..v1::SubmitRequest::default()
        };
        let before = process::memory(self.process()?)?.now;
        let waited = Stopwatch::start();
        let grids = &self.grids;
        let submit = || async { grids.clone().submit(request.clone()).await };
        let accepted = taken(submit).await?;
        let seconds = waited.seconds();
        let after = process::memory(self.process()?)?.peak;
        Ok(Submission {
            grid: accepted.grid_id,
            cells: accepted.cells,
            seconds,
            growth: after.saturating_sub(before),
        })
    }

    /// Submits grids until so many cells wait for nodes.
    ///
    /// # Errors
    /// When one is not accepted.
    pub async fn queue(&mut self, wanted: u64, cells_of_each: u32) -> anyhow::Result<()> {
        let mut queued = self.cells().await?.queued;
        while queued < wanted {
            queued += u64::from(self.submit(cells_of_each).await?.cells);
        }
        Ok(())
    }

    /// How many cells of all grids are where.
    ///
    /// # Errors
    /// When the coordinator does not answer.
    pub async fn cells(&self) -> anyhow::Result<Cells> {
        let request = v1::ListRequest {
            page_size: PAGE_GRIDS,
            ..v1::ListRequest::default()
        };
        let list = || async { self.grids.clone().list(request.clone()).await };
        let answer = taken(list).await?;
        let mut sum = Cells::default();
        for grid in answer.grids {
            let has_ended = grid.finished_at.is_some();
            sum.unpublished += u32::from(has_ended && !grid.gallery_complete);
            let cells = grid.cells.unwrap_or_default();
            sum.queued += u64::from(cells.queued);
            sum.done += u64::from(cells.done);
            sum.failed += u64::from(cells.failed);
        }
        Ok(sum)
    }

    /// Starts nodes that render nothing.
    ///
    /// # Errors
    /// When they do not start.
    pub async fn start_nodes(&self, scale: &Scale, cell_time: Duration) -> anyhow::Result<Running> {
        let mut command = command("atelier-node", self.folder.path());
        command
            .args([
                "run",
                "--coordinator",
                &self.grpc,
                "--name",
                "node",
                "--log",
                "warn",
            ])
            .args([
                "--renderer",
                "simulated",
                "--simulated-uploads",
                "off",
                "--exit-with-stdin",
            ])
            .args(["--simulated-nodes", &scale.nodes.to_string()])
            .args(["--simulated-batch", &scale.batch.to_string()])
            .args(["--simulated-spread", NODES_SPREAD])
            .args([
                "--simulated-cell-time",
                &format!("{}ms", cell_time.as_millis()),
            ]);
        let mut nodes = Running::start("nodes", &mut command, &self.folder)?;
        nodes.line().await?;
        Ok(nodes)
    }
}

/// The answer to a call, which is made again while the coordinator is too busy to take it.
async fn taken<T, Called: Future<Output = Result<Response<T>, Status>>>(
    call: impl Fn() -> Called,
) -> Result<T, Status> {
    let mut tries = 1;
    loop {
        match call().await {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(status) if tries < TRIES && is_busy(&status) => {}
            Err(status) => return Err(status),
        }
        tries += 1;
        tokio::time::sleep(TRY_INTERVAL).await;
    }
}

fn is_busy(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::ResourceExhausted)
}

/// Photos and artists of a grid of so many cells.
fn sides(cells: u32) -> (u32, u32) {
    let artists = (1..=cells.min(ARTISTS_MAX))
        .rev()
        .find(|it| cells.is_multiple_of(*it));
    let artists = artists.unwrap_or(1);
    (cells / artists, artists)
}

async fn put(bucket: &Bucket, path: &Path) -> anyhow::Result<v1::Input> {
    let bytes = std::fs::read(path)?;
    let (width, height) = image::image_dimensions(path)?;
    let digest = Digest::of(&bytes);
    bucket
        .put(&input_key(&digest), bytes.into(), "image/png", None)
        .await?;
    Ok(v1::Input {
        sha256: digest.to_string(),
        width,
        height,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_has_as_many_cells_as_it_should() {
        assert_eq!(sides(100_000), (250, 400));
        for cells in [1, 7, 500, 1_000, 5_000, 200_000] {
            let (photos, artists) = sides(cells);
            assert_eq!(photos * artists, cells);
            assert!(artists <= ARTISTS_MAX);
        }
    }
}
