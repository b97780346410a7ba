//! What a coordinator is told when it starts: the command line and the environment, checked and made into a [`Config`].

mod fleet;
mod identity;
pub mod limits;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use atelier_proto::listen::{Exposed, Protection, check_exposure};
use atelier_proto::manual::ManualCommand;
use atelier_proto::telemetry::LogFormat;
use atelier_proto::version;
use clap::{Parser, Subcommand};
use secrecy::SecretString;

pub use self::fleet::{FleetArgs, FleetError};
pub use self::identity::{IdentityArgs, IdentityConfig, IdentityError};
pub use self::limits::{LimitArgs, Limits};
pub use self::tls::TlsArgs;
use crate::collector::Keeping;
use crate::domain::lease::LeaseRules;
use crate::domain::share::Shares;
use crate::ledger::Rules;
use crate::listen::TlsFiles;
use crate::scaler::Scaling;
use crate::webhooks::{self, Webhook, WebhooksError};

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
  atelier-coordinator --listen 0.0.0.0:7878 --tls-cert studio.pem --tls-key studio-key.pem --client-ca ca.pem --client-crl crl.pem
  ATELIER_DATABASE='postgres://atelier@db/atelier?sslmode=verify-full' \\
      atelier-coordinator --s3-bucket galleries --s3-region eu-central-1";

/// How long a request to the bucket holds: until it begins, and so long enough for what was asked for many cells at once, and
/// for a node that has to wait for a connection. Whoever comes later has it signed anew.
const URL_DURATION: Duration = Duration::from_mins(5);
/// Signatures are dated by whole seconds.
const URL_DURATION_MIN: Duration = Duration::from_secs(3);
const URL_DURATION_MAX: Duration = Duration::from_mins(15);

/// Accepts grids, splits them into cells, leases them to nodes, and keeps the truth
///
/// When it serves, it prints one line of JSON on standard output: the URLs of its gRPC and of its S3 endpoint.
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
          value_parser = parse_lease_duration)]
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
    #[arg(long, env = "ATELIER_URL_DURATION", value_name = "DURATION", value_parser = parse_url_duration)]
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
          value_parser = parse_stall_duration)]
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
    /// A TOML file of URLs that are told when a grid has ended: `[[webhook]]` with `url`, `secret_file` or `secret_env`, and
    /// optionally `events` and `submitters`
    #[arg(long, env = "ATELIER_WEBHOOKS", value_name = "FILE")]
    pub webhooks: Option<PathBuf>,
    /// Listen beyond this machine although there is no TLS, or nobody is asked who they are
    #[arg(long, env = "ATELIER_INSECURE")]
    pub insecure: bool,
    /// Leave when standard input ends, so that whoever started this coordinator takes it along
    #[arg(long)]
    pub exit_with_stdin: bool,
    /// What is logged: a level, or levels by module as in `info,atelier_coordinator=debug`
    // The S3 library calls every refusal an error, also a put-if-absent that finds something, which is our daily bread.
    #[arg(
        long,
        env = "ATELIER_LOG",
        default_value = "info,s3s=off",
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

/// A configuration that makes sense.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where gRPC is served.
    pub listen: SocketAddr,
    /// The files of TLS, if that is spoken at every listener.
    pub tls: Option<TlsFiles>,
    /// What others may have.
    pub limits: Limits,
    /// Where the board is served; `None`: nowhere.
    pub board: Option<SocketAddr>,
    /// Where metrics are served besides; `None`: nowhere.
    pub metrics: Option<SocketAddr>,
    /// The file of its key; `None`: the one in the data folder.
    pub board_key: Option<PathBuf>,
    /// The data folder.
    pub data: PathBuf,
    /// Where the bytes live.
    pub bucket: BucketConfig,
    /// The database.
    pub database: DatabaseConfig,
    /// How long things are kept that are of no more use.
    pub keeping: Keeping,
    /// How long requests hold that are signed for nodes and clients.
    pub url_duration: Duration,
    /// The rules of leases, attempts and shares.
    pub rules: Rules,
    /// How the fleet follows the backlog.
    pub scaling: Scaling,
    /// Who may call.
    pub identity: IdentityConfig,
    /// Who is told when a grid has ended.
    pub webhooks: Arc<[Webhook]>,
}

/// Where the truth lives.
#[derive(Debug, Clone)]
pub enum DatabaseConfig {
    /// In the data folder.
    Sqlite,
    /// In PostgreSQL.
    Postgres {
        /// Where, and as whom.
        url: SecretString,
        /// Most connections for calls.
        connections_max: u32,
    },
}

/// Where the bytes live.
#[derive(Debug, Clone)]
pub enum BucketConfig {
    /// In the data folder, served by this process.
    Embedded {
        /// Where it is served.
        listen: SocketAddr,
        /// URL for nodes and clients, if it is not where it is served.
        public_url: Option<String>,
    },
    /// Elsewhere.
    External {
        /// Name of the bucket.
        bucket: String,
        /// Its region.
        region: String,
        /// Its endpoint, if it is not AWS' own.
        endpoint: Option<String>,
    },
}

/// A configuration that makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It would serve the world without TLS.
    #[error(transparent)]
    Exposed(#[from] Exposed),
    /// The fleet cannot be scaled so.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// Nobody knows who may call.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// What is put late would stay for ever.
    #[error(
        "--url-duration {} is longer than --grace-period {}, after which nobody looks for what nodes put late\n\
         hint: make the one shorter or the other longer",
        humantime::format_duration(*url_duration), humantime::format_duration(*grace_period)
    )]
    LateUrls {
        /// How long requests are to hold.
        url_duration: Duration,
        /// How long after its end a grid's place is looked through.
        grace_period: Duration,
    },
    /// Nobody can be told so.
    #[error(transparent)]
    Webhooks(#[from] WebhooksError),
    /// Nobody could call the endpoint by this address.
    #[error(
        "the S3 endpoint listens on {address}, which is no address that nodes and clients can call\n\
         hint: name the URL by which they reach it with --s3-public-url"
    )]
    NoPublicUrl {
        /// Where it listens.
        address: SocketAddr,
    },
}

impl TryFrom<Cli> for Config {
    type Error = ConfigError;

    fn try_from(cli: Cli) -> Result<Self, ConfigError> {
        let tls = cli.tls.tls_cert.is_some();
        let identity = cli.identity.config(tls)?;
        let protection = Protection {
            tls,
            identity: identity.is_required,
            insecure: cli.insecure,
        };
        check_exposure(cli.listen, protection)?;
        let board = (!cli.no_board).then_some(cli.board_listen);
        if let Some(address) = board {
            check_exposure(address, protection)?;
        }
        if let Some(address) = cli.metrics_listen {
            check_exposure(address, protection)?;
        }
        // clap sees to it that neither comes without the other.
        let bucket = if let (Some(bucket), Some(region)) = (cli.s3_bucket, cli.s3_region) {
            BucketConfig::External {
                bucket,
                region,
                endpoint: cli.s3_endpoint,
            }
        } else {
            check_exposure(cli.s3_listen, protection)?;
            if cli.s3_listen.ip().is_unspecified() && cli.s3_public_url.is_none() {
                let address = cli.s3_listen;
                return Err(ConfigError::NoPublicUrl { address });
            }
            BucketConfig::Embedded {
                listen: cli.s3_listen,
                public_url: cli.s3_public_url,
            }
        };
        Ok(Self {
            listen: cli.listen,
            limits: Limits::from(&cli.limits),
            tls: cli.tls.files(),
            board,
            metrics: cli.metrics_listen,
            board_key: cli.board_key_file,
            data: cli.data,
            bucket,
            database: match cli.database {
                None => DatabaseConfig::Sqlite,
                Some(url) => DatabaseConfig::Postgres {
                    url,
                    connections_max: cli.database_connections_max,
                },
            },
            keeping: Keeping {
                history: cli.history,
                unused_inputs: cli.unused_inputs,
                grace_period: cli.grace_period,
            },
            url_duration: url_duration(cli.url_duration, cli.grace_period)?,
            rules: Rules {
                lease: LeaseRules {
                    lease_duration: cli.lease_duration,
                    attempts_max: cli.attempts_max,
                    failed_nodes_max: cli.failed_nodes_max,
                    stall_duration: cli.stall_duration,
                },
                shares: Shares {
                    submitter_weights: cli.submitter_weights.into_iter().collect(),
                    submitter_running_max: cli.limits.submitter_running_max.unwrap_or(u32::MAX),
                    submitter_open_max: cli.limits.submitter_open_max.unwrap_or(u32::MAX),
                },
            },
            scaling: Scaling::try_from(cli.fleet)?,
            identity,
            webhooks: match &cli.webhooks {
                None => Arc::default(),
                Some(path) => webhooks::load(path, |name| std::env::var(name).ok())?.into(),
            },
        })
    }
}

/// How long requests hold: shorter than the time after which the last look at a grid's place is taken. One that began in time may
/// still take as long as its upload does.
fn url_duration(wanted: Option<Duration>, grace_period: Duration) -> Result<Duration, ConfigError> {
    match wanted {
        Some(url_duration) if url_duration > grace_period => Err(ConfigError::LateUrls {
            url_duration,
            grace_period,
        }),
        Some(url_duration) => Ok(url_duration),
        None => Ok(URL_DURATION.min(grace_period).max(URL_DURATION_MIN)),
    }
}

fn parse_url_duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if (URL_DURATION_MIN..=URL_DURATION_MAX).contains(&duration) {
        Ok(duration)
    } else {
        Err("it must be from 3s to 15m".to_owned())
    }
}

fn parse_lease_duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if (Duration::from_secs(1)..=Duration::from_hours(1)).contains(&duration) {
        Ok(duration)
    } else {
        Err("it must be from 1s to 1h".to_owned())
    }
}

fn parse_stall_duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if (Duration::from_secs(1)..=Duration::from_hours(24)).contains(&duration) {
        Ok(duration)
    } else {
        Err("it must be from 1s to 24h".to_owned())
    }
}

fn parse_weight(text: &str) -> Result<(String, f64), String> {
    let (name, weight) = text
        .rsplit_once('=')
        .ok_or("write it as in ann=3".to_owned())?;
    let weight: f64 = weight
        .parse()
        .map_err(|_| format!("{weight:?} is no number"))?;
    if (0.001..=1000.0).contains(&weight) {
        Ok((name.to_owned(), weight))
    } else {
        Err("a weight must be from 0.001 to 1000".to_owned())
    }
}

fn parse_url(text: &str) -> Result<String, String> {
    let url = url::Url::parse(text).map_err(|error| format!("no URL: {error}"))?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        Err("it must be an http:// or https:// URL".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn config(args: &[&str]) -> Result<Config, String> {
        let args = ["atelier-coordinator"].iter().chain(args);
        let cli = Cli::try_parse_from(args).map_err(|error| error.to_string())?;
        Config::try_from(cli).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_sound_and_its_defaults_serve_this_machine_alone() {
        Cli::command().debug_assert();
        let config = config(&[]).unwrap();
        assert!(config.listen.ip().is_loopback());
        assert!(matches!(config.bucket, BucketConfig::Embedded { .. }));
    }

    #[test]
    fn nothing_is_served_to_the_world_by_accident() {
        let refused = |args: &[&str]| config(args).unwrap_err();
        assert!(refused(&["--listen", "0.0.0.0:7878"]).contains("--insecure"));
        assert!(refused(&["--s3-listen", "0.0.0.0:7879"]).contains("--insecure"));
        assert!(refused(&["--metrics-listen", "0.0.0.0:9100"]).contains("--insecure"));
        let everywhere = ["--s3-listen", "0.0.0.0:7879", "--insecure"];
        assert!(refused(&everywhere).contains("--s3-public-url"));
        let named = [
            &everywhere[..],
            &["--s3-public-url", "http://atelier:7879/"],
        ]
        .concat();
        let BucketConfig::Embedded { public_url, .. } = config(&named).unwrap().bucket else {
            panic!("it is embedded");
        };
        assert_eq!(public_url.as_deref(), Some("http://atelier:7879"));
    }

    #[test]
    fn requests_to_the_bucket_end_before_the_last_look_at_what_they_may_have_put() {
        let duration = |args: &[&str]| config(args).map(|config| config.url_duration);
        assert_eq!(duration(&[]), Ok(URL_DURATION));
        let soon = ["--grace-period", "1m"];
        assert_eq!(duration(&soon), Ok(Duration::from_mins(1)));
        let late = duration(&[&soon[..], &["--url-duration", "2m"]].concat());
        let late = late.unwrap_err();
        assert!(
            late.contains("--grace-period") && late.contains("hint:"),
            "{late}"
        );
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for args in [
            ["--lease-duration", "0s"],
            ["--lease-duration", "soon"],
            ["--url-duration", "16m"],
            ["--url-duration", "2s"],
            ["--attempts-max", "0"],
            ["--cells-max", "0"],
            ["--s3-bucket", "b"],
            ["--fleet-driver", "asg"],
            ["--fleet-min", "11"],
            ["--fleet-drain-time", "0s"],
            ["--fleet-dollars-per-hour-max", "-1"],
            ["--prices", "no-such-file.toml"],
            ["--webhooks", "no-such-file.toml"],
        ] {
            assert!(config(&args).is_err(), "{args:?}");
        }
    }
}
