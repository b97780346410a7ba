//! The command line: what can be asked for, and the words that explain it.

mod access;
mod fleet;
mod instance;
mod simulated;
mod values;

use std::net::SocketAddr;
use std::path::PathBuf;

use atelier_proto::manual::ManualCommand;
use atelier_proto::settings::Preset;
use atelier_proto::telemetry::LogFormat;
use atelier_proto::version;
use clap::{Args, Parser, Subcommand};

pub use self::access::AccessArgs;
pub(crate) use self::fleet::check_labels_count;
pub use self::fleet::{DollarsPerHour, FleetArgs, Label, LabelsError};
pub use self::instance::{AwsName, InstanceArgs};
pub use self::simulated::{CellTime, Painter, Share, SimulatedArgs, Switch};
pub use self::values::{ByteSize, MaskArg, PaintingArg};
use crate::render::{DeviceChoice, LIBTORCH_VERSION, Precision, RendererOptions};
use crate::weights::{UNTRAINED_SEED, WeightsChoice};

const EVERY_COMMAND: &str = "Options of every command";

const EXIT_CODES: &str = "\
Exit codes:
    0  done
    1  unexpected: please report it
    2  wrong usage, setting, picture, weights or device
    3  weights cannot be fetched
    4  the coordinator cannot be reached or refuses this node
    5  S3 cannot be reached or refuses the credentials
    6  the EC2 metadata service does not tell what this machine is
    8  cannot write here: no space or no permission
  130  interrupted (Ctrl-C)";

/// Renders pictures with libtorch: for a coordinator, or one by one
#[derive(Debug, Parser)]
#[command(
    version = version::short(),
    long_version = version::long(&[("libtorch", LIBTORCH_VERSION)]),
    propagate_version = true,
    after_help = EXIT_CODES
)]
pub struct Cli {
    /// What is logged: a level, or levels by module as in `info,atelier_node=debug`
    #[arg(
        long,
        global = true,
        help_heading = EVERY_COMMAND,
        env = "ATELIER_LOG",
        default_value = "info",
        value_name = "FILTER"
    )]
    pub log: String,
    /// How it is logged
    #[arg(
        long,
        global = true,
        help_heading = EVERY_COMMAND,
        env = "ATELIER_LOG_FORMAT",
        default_value = "text",
        value_name = "text|json"
    )]
    pub log_format: LogFormat,
    /// URL of the OTLP collector that traces go to by gRPC, as in `http://127.0.0.1:4317` [default: nowhere]
    #[arg(
        long,
        global = true,
        help_heading = EVERY_COMMAND,
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        value_name = "URL",
        hide_env_values = true
    )]
    pub otlp_endpoint: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Work for a coordinator until told to leave (Ctrl-C, SIGTERM)
    #[command(after_help = "\
Examples:
  atelier-node run --coordinator http://10.0.0.7:7878 --label gpu=h100 --dollars-per-hour 2.99
  atelier-node run --coordinator https://studio.lan:7878 --ca ca.pem \\
      --cert node-studio-1.pem --key node-studio-1-key.pem
  atelier-node run --coordinator http://10.0.0.7:7878 --ec2 --lifecycle-group painters --lifecycle-hook leave
  atelier-node run --renderer simulated --simulated-nodes 1000 --simulated-uploads off --log warn")]
    Run(Box<RunArgs>),
    /// Render one photo in the style of one artist
    #[command(after_help = "\
Examples:
  atelier-node render --photo rider.jpg --painting monet.jpg -o rider-monet.jpg
  atelier-node render --photo rider.jpg --painting a.png:2 --painting b.png -o out.png \\
      --set size=512 --set iterations=200 --report out.json
  atelier-node render --photo rider.jpg --painting sea.jpg --mask ground.png \\
      --painting night.jpg --mask sky.png -o out.jpg --preset gatys --checkpoint out.checkpoint
  atelier-node render --painting monet.jpg -o texture.png --set mode=style
  atelier-node render --photo rider.jpg -o seen.png --set mode=content --set content_layers=conv3_1")]
    Render(RenderArgs),
    /// Get or examine the weights of a network
    #[command(subcommand)]
    Weights(WeightsCommand),
    /// Measure what this device makes of growing batches
    #[command(after_help = "\
Examples:
  atelier-node bench
  atelier-node bench --size 256 --batch 1,2,4 --iterations 50 --json
  atelier-node bench --weights vgg19.safetensors --set loss=gatys --set features=raw --set padding=zero

A render's share of the device is told against a large convolution and a large matrix product, measured in the same run.
Counted are the multiply-adds of the convolutions, forward and back to the image, each as two operations.")]
    Bench(BenchArgs),
    /// List what this machine has to render on, and which of it `--device auto` takes
    #[command(after_help = "\
Examples:
  atelier-node devices
  atelier-node devices --json | jq --raw-output '.devices[].device'")]
    Devices {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    Manual(ManualCommand),
}

/// On what.
#[derive(Debug, Clone, Copy, Args)]
pub struct DeviceArgs {
    /// What renders: `auto` takes a GPU where there is one
    #[arg(
        long,
        env = "ATELIER_DEVICE",
        default_value = "auto",
        value_name = "auto|cpu|cuda:N"
    )]
    pub device: DeviceChoice,
    /// In which numbers it convolves: `auto` takes bfloat16 where that is faster; the last evaluations are in float32
    #[arg(
        long,
        env = "ATELIER_PRECISION",
        default_value_t = Precision::Auto,
        value_name = "auto|float32|bfloat16"
    )]
    pub precision: Precision,
    /// Most memory of the device that a render may take, as in 8GB [default: what is free]
    #[arg(long, env = "ATELIER_MEMORY_MAX", value_name = "BYTES")]
    pub memory_max: Option<ByteSize>,
}

impl DeviceArgs {
    /// What [`crate::render::Renderer::load`] is asked, with batches of `batch_max` at most.
    pub fn options(self, batch_max: Option<u32>) -> RendererOptions {
        RendererOptions {
            device: self.device,
            precision: self.precision,
            batch_max,
            memory_bytes_max: self.memory_max.map(ByteSize::bytes),
        }
    }
}

/// Which network, on what.
#[derive(Debug, Args)]
pub struct RendererArgs {
    /// Which network paints: a file (safetensors or Keras .h5; VGG16 or VGG19), `untrained`, or `auto`: the fetched
    /// file if it is there or can be had quickly, else untrained. `run` also takes `bucket:` and the SHA-256 digest of a
    /// file that lies in the coordinator's bucket as weights/SHA256
    #[arg(
        long,
        env = "ATELIER_WEIGHTS",
        default_value = "auto",
        value_name = "FILE|bucket:SHA256|untrained|auto"
    )]
    pub weights: WeightsChoice,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub device: DeviceArgs,
    /// Most pictures that are optimised at once [default: as many as make the device fastest]
    #[arg(long, env = "ATELIER_BATCH", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub batch: Option<u32>,
}

impl RendererArgs {
    /// What [`crate::render::Renderer::load`] is asked.
    pub fn options(&self) -> RendererOptions {
        self.device.options(self.batch)
    }
}

/// How often a render is kept on its way.
#[derive(Debug, Clone, Copy, Args)]
pub struct CheckpointArgs {
    /// How often what a picture has become is kept, so that a render that breaks off goes on from there
    #[arg(
        long,
        env = "ATELIER_CHECKPOINT_INTERVAL",
        default_value = "20s",
        value_name = "DURATION"
    )]
    pub checkpoint_interval: humantime::Duration,
}

/// `atelier-node run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// URL of the coordinator, or of several that share a database, separated by commas
    #[arg(
        long,
        env = "ATELIER_COORDINATOR",
        default_value = "http://127.0.0.1:7878",
        value_name = "URL"
    )]
    pub coordinator: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub access: AccessArgs,
    /// By what cells are rendered. `simulated` renders nothing: its cells take time, and become pictures of one colour. It
    /// is there to put load on coordinators and buckets, and has no use for weights, device, precision, memory, batch,
    /// cache and checkpoints
    #[arg(
        long = "renderer",
        env = "ATELIER_RENDERER",
        default_value = "libtorch",
        value_name = "libtorch|simulated",
        hide_possible_values = true
    )]
    pub painter: Painter,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub renderer: RendererArgs,
    /// What people call this node [default: its host name]
    #[arg(long, env = "ATELIER_NODE_NAME", value_name = "NAME")]
    pub name: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub fleet: FleetArgs,
    /// How long a cell waits for a bucket that does not answer or is full before it is given back, without its picture if it
    /// had one; that costs it no attempt
    #[arg(
        long,
        env = "ATELIER_BUCKET_PATIENCE",
        default_value = "2m",
        value_name = "DURATION"
    )]
    pub bucket_patience: humantime::Duration,
    /// Within what this node leaves after SIGTERM or Ctrl-C, or when its machine is taken away: what it has in hand is kept
    /// in the bucket and given back, which costs no attempt. A second signal ends it at once
    #[arg(
        long,
        env = "ATELIER_LEAVE_TIMEOUT",
        default_value = "25s",
        value_name = "DURATION"
    )]
    pub leave_timeout: humantime::Duration,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub instance: InstanceArgs,
    /// Folder for photos and paintings that may be needed again [default: in the user's cache]
    #[arg(long, env = "ATELIER_CACHE", value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// MiB that this folder may hold
    #[arg(long, env = "ATELIER_CACHE_MIB_MAX", default_value_t = 4096, value_name = "MIB",
          value_parser = clap::value_parser!(u64).range(16..=16_777_216))]
    pub cache_mib_max: u64,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub checkpoints: CheckpointArgs,
    /// How often those who watch see what a picture has become; 0s: never. In large batches it is less often
    #[arg(
        long,
        env = "ATELIER_PREVIEW_INTERVAL",
        default_value = "3s",
        value_name = "DURATION"
    )]
    pub preview_interval: humantime::Duration,
    /// Address of this node's metrics for Prometheus and of its answers to probes (/healthz, /readyz), as in 127.0.0.1:9100 [default: nowhere]
    #[arg(long, env = "ATELIER_METRICS_LISTEN", value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,
    /// Serve metrics beyond this machine, to whoever asks, and send the token beyond it without TLS, too
    #[arg(long, env = "ATELIER_INSECURE")]
    pub insecure: bool,
    /// Leave when standard input ends, so that whoever started this node takes it along
    #[arg(long)]
    pub exit_with_stdin: bool,
    #[command(flatten, next_help_heading = "Only with --renderer simulated")]
    #[expect(missing_docs, reason = "documented at its type")]
    pub simulated: SimulatedArgs,
}

/// `atelier-node render`.
#[derive(Debug, Args)]
pub struct RenderArgs {
    /// The photo: JPEG, PNG, WebP or TIFF; only mode=style does without
    #[arg(long, value_name = "FILE")]
    pub photo: Option<PathBuf>,
    /// A painting, with its share if it is not 1; several are blended; only mode=content does without
    ///
    /// A name that itself ends like a share is written with one: `night:2:1`.
    #[arg(long = "painting", value_name = "FILE[:SHARE]")]
    pub paintings: Vec<PaintingArg>,
    /// Where in the photo a painting applies, white on black: one for each painting, in their order; `everywhere`
    /// for a painting without
    #[arg(long = "mask", value_name = "FILE|everywhere")]
    pub masks: Vec<MaskArg>,
    /// The picture to begin from; sets start=file
    #[arg(long, value_name = "FILE")]
    pub start: Option<PathBuf>,
    /// Where the picture goes: .jpg or .png (16 bits a channel with --set format=png16)
    #[arg(short, long, value_name = "FILE")]
    pub out: PathBuf,
    /// A named set of render settings: fine, classic, gatys or neural-style; what --set says counts more
    #[arg(long, value_name = "NAME")]
    pub preset: Option<Preset>,
    /// A render setting, as in size=512
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// Where the render is kept on its way and on Ctrl-C, and gone on with if the file is there; removed at the end
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub checkpoints: CheckpointArgs,
    /// Where a report goes: settings, network, device, and the losses of every evaluation (JSON)
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub renderer: RendererArgs,
}

/// `atelier-node bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Long side of the pictures, which are square
    #[arg(long, default_value_t = 512, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(16..=8192))]
    pub size: u32,
    /// Evaluations of each picture
    #[arg(long, default_value_t = 20, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub iterations: u32,
    /// Pictures that are optimised at once; each number is measured, smallest first
    #[arg(long, default_value = "1,2,4,8", value_delimiter = ',', value_name = "N,…",
          value_parser = clap::value_parser!(u32).range(1..=256))]
    pub batch: Vec<u32>,
    /// A render setting, as in loss=gatys; the default has one scale
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// Which network paints: a file (safetensors or Keras .h5; VGG16 or VGG19), `untrained`, or `auto`
    #[arg(long, default_value = "untrained", value_name = "FILE|untrained|auto")]
    pub weights: WeightsChoice,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub device: DeviceArgs,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// `atelier-node weights …`.
#[derive(Debug, Subcommand)]
pub enum WeightsCommand {
    /// Fetch Keras' VGG16 without its classifier (59 MB) into the user's cache, where `auto` finds it
    ///
    /// A broken fetch goes on where it stopped. The file counts only when its digest is the one that Keras pins.
    /// Proxies are taken from `HTTPS_PROXY` and `NO_PROXY`.
    Fetch {
        /// Another address of the same file, for mirrors
        #[arg(long, value_name = "URL")]
        url: Option<String>,
    },
    /// Say what a weights file is: architecture, layers, digest
    Check {
        /// Safetensors or Keras .h5
        file: PathBuf,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a network as safetensors with torchvision's names, for other programs
    ///
    /// Its header says under `normalisation` how colours are to be brought to it. `--weights` takes the file too, and
    /// paints with it as with a trained network: the default content layer is then `conv4_2`.
    Export {
        /// The network that needs no file
        #[arg(long, required = true)]
        untrained: bool,
        /// Which untrained network
        #[arg(long, default_value_t = UNTRAINED_SEED, value_name = "NUMBER")]
        seed: u64,
        /// Where it goes, 59 MB; a file that is there is replaced
        file: PathBuf,
    },
}
