//! What a coordinator is told when it starts: the command line and the environment ([`Cli`]), checked and made into a
//! [`Config`].

mod cli;
mod fleet;
mod identity;
pub mod limits;
mod parse;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use atelier_proto::listen::{Exposed, Protection, check_exposure};
use secrecy::SecretString;

pub use self::cli::{Cli, Command};
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

/// How long a request to the bucket holds: until it begins, and so long enough for what was asked for many cells at once, and
/// for a node that has to wait for a connection. Whoever comes later has it signed anew.
const URL_DURATION: Duration = Duration::from_mins(5);
/// Signatures are dated by whole seconds.
const URL_DURATION_MIN: Duration = Duration::from_secs(3);
const URL_DURATION_MAX: Duration = Duration::from_mins(15);

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
    /// The file of the board's key; `None`: the one in the data folder.
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

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

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
