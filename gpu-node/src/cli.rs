//! The command line: what can be asked for, and the words that explain it.

use std::path::PathBuf;

use atelier_proto::telemetry::LogFormat;
use clap::{Args, Parser, Subcommand};

use crate::render::DeviceChoice;
use crate::weights::WeightsChoice;

const EXIT_CODES: &str = "\
Exit codes:
    0  done
    1  unexpected: please report it
    2  wrong usage, setting, picture, weights or device
    3  weights cannot be fetched
    4  the coordinator cannot be reached or refuses this node
    5  S3 cannot be reached or refuses the credentials
    8  cannot write here: no space or no permission
  130  interrupted (Ctrl-C)";

/// Renders pictures with libtorch: for a coordinator, or one by one
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// What is logged: a level, or levels by module as in `info,atelier_node=debug`
    #[arg(
        long,
        global = true,
        env = "ATELIER_LOG",
        default_value = "info",
        value_name = "FILTER"
    )]
    pub log: String,
    /// How it is logged
    #[arg(
        long,
        global = true,
        env = "ATELIER_LOG_FORMAT",
        default_value = "text",
        value_name = "text|json"
    )]
    pub log_format: LogFormat,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Work for a coordinator until told to leave (Ctrl-C, SIGTERM)
    Run(RunArgs),
    /// Render one photo in the style of one artist
    #[command(after_help = "\
Examples:
  atelier-node render --photo rider.jpg --painting monet.jpg -o rider-monet.jpg
  atelier-node render --photo rider.jpg --painting a.png --painting b.png -o out.png \\
      --set size=512 --set iterations=200 --report out.json")]
    Render(RenderArgs),
    /// Get or examine the weights of a network
    #[command(subcommand)]
    Weights(WeightsCommand),
}

/// Which network, on what.
#[derive(Debug, Args)]
pub struct RendererArgs {
    /// Which network paints: a file (safetensors or Keras .h5; VGG16 or VGG19), `untrained`, or `auto`: the fetched
    /// file if it is there or can be had quickly, else untrained
    #[arg(
        long,
        env = "ATELIER_WEIGHTS",
        default_value = "auto",
        value_name = "FILE|untrained|auto"
    )]
    pub weights: WeightsChoice,
    /// What renders: `auto` takes a GPU where there is one
    #[arg(
        long,
        env = "ATELIER_DEVICE",
        default_value = "auto",
        value_name = "auto|cpu|cuda:N"
    )]
    pub device: DeviceChoice,
}

/// `atelier-node run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// URL of the coordinator
    #[arg(
        long,
        env = "ATELIER_COORDINATOR",
        default_value = "http://127.0.0.1:7878",
        value_name = "URL"
    )]
    pub coordinator: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub renderer: RendererArgs,
    /// What people call this node [default: its host name]
    #[arg(long, env = "ATELIER_NODE_NAME", value_name = "NAME")]
    pub name: Option<String>,
    /// Folder for photos and paintings that may be needed again [default: in the user's cache]
    #[arg(long, env = "ATELIER_CACHE", value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// MiB that this folder may hold
    #[arg(long, env = "ATELIER_CACHE_MIB_MAX", default_value_t = 4096, value_name = "MIB",
          value_parser = clap::value_parser!(u64).range(16..=16_777_216))]
    pub cache_mib_max: u64,
    /// Leave when standard input ends, so that whoever started this node takes it along
    #[arg(long)]
    pub exit_with_stdin: bool,
}

/// `atelier-node render`.
#[derive(Debug, Args)]
pub struct RenderArgs {
    /// The content image: JPEG, PNG, WebP or TIFF
    #[arg(long, value_name = "FILE")]
    pub photo: PathBuf,
    /// A style image; several are blended
    #[arg(long = "painting", value_name = "FILE", required = true)]
    pub paintings: Vec<PathBuf>,
    /// Where the picture goes: .jpg or .png
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// A render setting, as in size=512
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// Where a report goes: settings, network, device, and the losses of every evaluation (JSON)
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub renderer: RendererArgs,
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
}
