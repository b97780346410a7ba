//! The command line.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use atelier_proto::manual::ManualCommand;
use atelier_proto::telemetry::LogFormat;
use atelier_proto::version;
use clap::{Parser, Subcommand};
use secrecy::SecretString;

use super::parse::{UP_TO_A_DAY, between, parse_url, parse_weight};
use super::{FleetArgs, IdentityArgs, LimitArgs, TlsArgs, URL_DURATION_MAX, URL_DURATION_MIN};

const LEASE_DURATIONS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(1);

const EXIT_CODES: &str = "\
Exit codes:
  0  ended as it was told to (Ctrl-C, SIGTERM)
  1  unexpected: please report it
  2  wrong usage, or certificates that cannot be used
  4  cannot listen: the address is in use or not this machine's
  5  the S3 bucket cannot be reached or used
  8  the data folder cannot be written or is in use, the database cannot be reached or used, or there is no backup

Examples:
  atelier-coordinator
  atelier-coordinator --data /srv/atelier backup /mnt/backup/atelier
  atelier-coordinator --data /srv/atelier --s3-bucket galleries --s3-region eu-central-1
  atelier-coordinator --listen 0.0.0.0:7878 --tls-cert server.pem --tls-key server-key.pem \\
      --client-ca ca.pem --client-crl crl.pem
  ATELIER_DATABASE='postgres://atelier@db/atelier?sslmode=verify-full' \\
      atelier-coordinator --s3-bucket galleries --s3-region eu-central-1";

/// Accepts grids, splits them into cells, leases them to nodes, and keeps the truth
///
/// When it serves, it prints one line of JSON on standard output: the URLs of its gRPC, S3 endpoint, board and metrics.
#[derive(Debug, Parser)]
#[command(version = version::short(), long_version = version::long(&[]), after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do, if it is not to serve.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Where gRPC is served
    #[arg(
        long,
        env = "ATELIER_LISTEN",
        default_value = "127.0.0.1:7878",
        value_name = "ADDRESS"
    )]
    pub listen: SocketAddr,
    /// Where the embedded S3 endpoint is served; unused with --s3-bucket
    #[arg(
        long,
        env = "ATELIER_S3_LISTEN",
        default_value = "127.0.0.1:7879",
        value_name = "ADDRESS"
    )]
    pub s3_listen: SocketAddr,
    /// Where the live board is served, for browsers: grids, nodes and galleries as they stand
    #[arg(
        long,
        env = "ATELIER_BOARD_LISTEN",
        default_value = "127.0.0.1:7880",
        value_name = "ADDRESS"
    )]
    pub board_listen: SocketAddr,
    /// The file of the board's key, made if it is not there: whoever has the key can drain nodes and submit grids at the
    /// board's address followed by `#key=` and what the file holds [default: board-key in the data folder]
    #[arg(long, env = "ATELIER_BOARD_KEY_FILE", value_name = "FILE")]
    pub board_key_file: Option<PathBuf>,
    /// Serve no board
    #[arg(long, env = "ATELIER_NO_BOARD")]
    pub no_board: bool,
    /// Where metrics for Prometheus and answers to probes (/healthz, /readyz) are served besides the board [default: at the
    /// board alone]
    #[arg(long, env = "ATELIER_METRICS_LISTEN", value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,
    /// URL by which nodes and clients reach the embedded S3 endpoint [default: http:// or https:// and where it is served]
    #[arg(long, env = "ATELIER_S3_PUBLIC_URL", value_name = "URL", conflicts_with = "s3_bucket",
          value_parser = parse_url)]
    pub s3_public_url: Option<String>,
    /// Folder for the database and the embedded S3 endpoint's objects
    #[arg(
        long,
        env = "ATELIER_DATA",
        default_value = "atelier-data",
        value_name = "DIR"
    )]
    pub data: PathBuf,
    /// A lease that is not renewed for so long expires, and its cell goes to another node
    #[arg(long, env = "ATELIER_LEASE_DURATION", default_value = "30s", value_name = "DURATION",
          value_parser = between(LEASE_DURATIONS))]
    pub lease_duration: Duration,
    /// URL of a PostgreSQL database [default: a file in the data folder]
    #[arg(
        long,
        env = "ATELIER_DATABASE",
        value_name = "URL",
        hide_env_values = true
    )]
    pub database: Option<SecretString>,
    /// Most connections to PostgreSQL for calls
    #[arg(long, env = "ATELIER_DATABASE_CONNECTIONS_MAX", default_value_t = 16, value_name = "COUNT",
          requires = "database", value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub database_connections_max: u32,
    /// How long grids are known after they have ended; their galleries stay in the bucket [default: for ever]
    #[arg(long, env = "ATELIER_HISTORY", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub history: Option<Duration>,
    /// How long photos and paintings are kept that no grid refers to [default: for ever]
    #[arg(long, env = "ATELIER_UNUSED_INPUTS", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub unused_inputs: Option<Duration>,
    /// How long requests to the bucket hold that nodes and clients get from here [default: 5m, or --grace-period if that is
    /// shorter]
    #[arg(long, env = "ATELIER_URL_DURATION", value_name = "DURATION", value_parser = between(URL_DURATION_MIN..=URL_DURATION_MAX))]
    pub url_duration: Option<Duration>,
    /// How long after the end of a grid its place in the bucket is looked through for what nothing refers to
    #[arg(long, env = "ATELIER_GRACE_PERIOD", default_value = "15m", value_name = "DURATION",
          value_parser = humantime::parse_duration)]
    pub grace_period: Duration,
    /// Attempts of a cell that may fail or be lost before the cell fails
    #[arg(long, env = "ATELIER_ATTEMPTS_MAX", default_value_t = 5, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=100))]
    pub attempts_max: u32,
    /// Nodes on which a cell may fail or be lost before the cell fails
    #[arg(long, env = "ATELIER_FAILED_NODES_MAX", default_value_t = 3, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=100))]
    pub failed_nodes_max: u32,
    /// A node that makes no evaluation of a cell for so long, and for 50 times as long as usual, loses it
    #[arg(long, env = "ATELIER_STALL_DURATION", default_value = "5m", value_name = "DURATION",
          value_parser = between(UP_TO_A_DAY))]
    pub stall_duration: Duration,
    /// Share of a submitter against the others, as in ann=3; those who are not named have 1
    #[arg(long = "submitter-weight", env = "ATELIER_SUBMITTER_WEIGHTS", value_name = "NAME=WEIGHT",
          value_delimiter = ',', value_parser = parse_weight)]
    pub submitter_weights: Vec<(String, f64)>,
    /// Keep inputs and galleries in this bucket instead of the data folder. The coordinator's AWS credentials sign for
    /// everyone
    #[arg(
        long,
        env = "ATELIER_S3_BUCKET",
        value_name = "NAME",
        requires = "s3_region"
    )]
    pub s3_bucket: Option<String>,
    /// Region of that bucket
    #[arg(
        long,
        env = "ATELIER_S3_REGION",
        value_name = "REGION",
        requires = "s3_bucket"
    )]
    pub s3_region: Option<String>,
    /// S3 endpoint of that bucket [default: AWS' own for the region]
    #[arg(long, env = "ATELIER_S3_ENDPOINT", value_name = "URL", requires = "s3_bucket", value_parser = parse_url)]
    pub s3_endpoint: Option<String>,
    /// A TOML file of URLs that are told when a grid has ended: `[[webhook]]` with `url`, `secret_file` or `secret_env`, and
    /// optionally `name`, `events`, `submitters` and `insecure`
    #[arg(long, env = "ATELIER_WEBHOOKS", value_name = "FILE")]
    pub webhooks: Option<PathBuf>,
    /// Listen beyond this machine although there is no TLS, or nobody is asked who they are
    #[arg(long, env = "ATELIER_INSECURE")]
    pub insecure: bool,
    /// Leave when standard input ends, so that whoever started this coordinator takes it along
    #[arg(long)]
    pub exit_with_stdin: bool,
    /// What is logged: a level, or levels by module as in `info,atelier_coordinator=debug`
    // The S3 library calls every refusal an error, also a put-if-absent that finds something, which is our daily bread; and
    // PostgreSQL tells at each start that tables are there.
    #[arg(
        long,
        env = "ATELIER_LOG",
        default_value = "info,s3s=off,sqlx::postgres::notice=warn",
        value_name = "FILTER"
    )]
    pub log: String,
    /// How it is logged
    #[arg(
        long,
        env = "ATELIER_LOG_FORMAT",
        default_value = "text",
        value_name = "text|json"
    )]
    pub log_format: LogFormat,
    /// URL of the OTLP collector that traces go to by gRPC, as in `http://127.0.0.1:4317` [default: nowhere]
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        value_name = "URL",
        hide_env_values = true
    )]
    pub otlp_endpoint: Option<String>,
    // These last: their headings hold for all that follows them.
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub tls: TlsArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub limits: LimitArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub fleet: FleetArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    pub identity: IdentityArgs,
}

/// What a coordinator does besides serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Copy the data folder, also while a coordinator serves from it, to a folder that can be used as one
    ///
    /// A folder that holds an earlier backup gets what is new. With PostgreSQL and a bucket elsewhere, back those up.
    Backup {
        /// The copy, best on another disk
        #[arg(value_name = "DIR")]
        to: PathBuf,
    },
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at its type")]
    Manual(ManualCommand),
}
