//! What TLS is spoken with: certificate and key, and by which authorities clients may say who they are. It follows its
//! files: new connections get what they hold now.

mod expiry;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use atelier_proto::clock::Clock;
use atelier_proto::pem::{PemError, PemFile};
use atelier_proto::watched::Stamps;
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::rustls;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::UnixTime;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::time_provider::TimeProvider;
use tokio_util::sync::CancellationToken;

use self::expiry::Expiry;
use super::certificate;
use super::live::{Chain, Live, Member};
use super::protocol::Protocol;
use crate::metrics::Metrics;

/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// The PEM files of TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Authorities of the certificates by which clients and nodes may say who they are.
    pub client_ca: Option<PathBuf>,
    /// The revocation lists of those authorities.
    pub client_crl: Option<PathBuf>,
}

impl TlsFiles {
    fn stamps(&self) -> Stamps {
        let further = self.client_ca.iter().chain(&self.client_crl);
        let files = [&self.certificate, &self.key].into_iter().chain(further);
        Stamps::of(files.map(PathBuf::as_path))
    }
}

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The key is that of another certificate.
    #[error(
        "the key in {} is not that of the certificate in {}\n\
         hint: --tls-cert and --tls-key must name what was made together; in the file, the server's own certificate comes first",
        key.display(), certificate.display()
    )]
    OtherKey {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// TLS cannot use what a file holds.
    #[error("{} cannot be used for TLS: {problem}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What TLS says.
        problem: String,
    },
}

/// What TLS is spoken with, now. Clones are of one.
#[derive(Debug, Clone)]
pub struct ServerTls {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    files: TlsFiles,
    clock: Clock,
    now: RwLock<Loaded>,
    live: Live,
}

/// What the files held when they were read.
#[derive(Debug, Clone)]
struct Loaded {
    grpc: Arc<ServerConfig>,
    http: Arc<ServerConfig>,
    verifier: Arc<dyn ClientCertVerifier>,
    expiry: Expiry,
}

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// When one of them cannot be used. An expired certificate can: it is told, and refused by those who connect.
    pub fn load(files: TlsFiles, clock: Clock) -> Result<Self, TlsError> {
        let now = RwLock::new(load(&files, &clock)?);
        let shared = Shared {
            files,
            clock,
            now,
            live: Live::default(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// How a protocol is spoken by it now.
    pub(super) fn config(&self, protocol: Protocol) -> Arc<ServerConfig> {
        let now = self.loaded();
        match protocol {
            Protocol::Grpc => now.grpc,
            Protocol::Http => now.http,
        }
    }

    /// Takes in a connection that was made with `config` and on which these certificates were shown. None if they have
    /// become bad meanwhile.
    pub(super) fn enter(
        &self,
        chain: &Chain,
        config: &Arc<ServerConfig>,
        protocol: Protocol,
    ) -> Option<Member> {
        let member = self.shared.live.enter(chain.clone());
        // Whatever changes from here on finds it among the others.
        let is_of_now = Arc::ptr_eq(config, &self.config(protocol));
        (is_of_now || self.is_good(chain)).then_some(member)
    }

    /// Whether these certificates would be accepted now.
    fn is_good(&self, chain: &Chain) -> bool {
        let Some((own, between)) = chain.split_first() else {
            return true;
        };
        let now = TimeOf(self.shared.clock.clone()).current_time();
        let verifier = self.loaded().verifier;
        // Whoever asks for no certificates any more does not know whose they are.
        now.is_some_and(|now| {
            verifier.offer_client_auth() && verifier.verify_client_cert(own, between, now).is_ok()
        })
    }

    /// When the certificate expires, if it says so.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.loaded().expiry.certificate
    }

    fn loaded(&self) -> Loaded {
        // Each change is one assignment, so a panic elsewhere leaves it whole.
        let now = self.shared.now.read();
        now.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Follows the files until `shutdown`: they are read again when they change, and on SIGHUP. Says in time when
    /// something is about to expire.
    ///
    /// # Errors
    /// When the system does not let it hear of SIGHUP.
    pub async fn follow(
        self,
        metrics: Arc<Metrics>,
        shutdown: CancellationToken,
    ) -> std::io::Result<()> {
        let mut asked = signal(SignalKind::hangup())?;
        let shared = &*self.shared;
        let mut seen = shared.files.stamps();
        let mut warned = None;
        self.loaded().expiry.tell(&metrics);
        loop {
            if let Some(warning) = self.loaded().expiry.warning(shared.clock.now(), warned) {
                tracing::warn!("{warning}");
                warned = Some(shared.clock.now());
            }
            let is_asked = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                _ = asked.recv() => true,
                () = tokio::time::sleep(LOOK_INTERVAL) => false,
            };
            // Taken before the files are read, so that what changes meanwhile is seen the next time.
            let stamps = shared.files.stamps();
            if stamps == seen && !is_asked {
                continue;
            }
            seen = stamps;
            match load(&shared.files, &shared.clock) {
                Ok(loaded) => {
                    tracing::info!(
                        certificate = %shared.files.certificate.display(),
                        expires_at = loaded.expiry.certificate.map(tracing::field::display),
                        "the files of TLS were read again"
                    );
                    warned = None;
                    loaded.expiry.tell(&metrics);
                    *shared.now.write().unwrap_or_else(PoisonError::into_inner) = loaded;
                    let ended = shared.live.keep(|chain| self.is_good(chain));
                    if ended > 0 {
                        tracing::info!(
                            ended,
                            "connections end whose certificates are not accepted any more"
                        );
                    }
                }
                Err(error) => tracing::error!(
                    %error,
                    "the new files of TLS cannot be used; going on with those before"
                ),
            }
        }
    }
}

fn load(files: &TlsFiles, clock: &Clock) -> Result<Loaded, TlsError> {
    let chain = PemFile::read(&files.certificate)?.certificates()?;
    let key = PemFile::read(&files.key)?.key()?;
    let mut expiry = Expiry {
        certificate: chain
            .first()
            .and_then(|own| certificate::expires_at(own.as_ref())),
        ..Expiry::default()
    };
    let unusable = |path: &Path, problem: &dyn fmt::Display| TlsError::Unusable {
        path: path.to_owned(),
        problem: problem.to_string(),
    };
    let verifier = verifier(files, &mut expiry)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let time = Arc::new(TimeOf(clock.clone()));
    let builder = ServerConfig::builder_with_details(provider, time)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&files.certificate, &error))?;
    let builder = builder.with_client_cert_verifier(verifier.clone());
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::OtherKey {
                certificate: files.certificate.clone(),
                key: files.key.clone(),
            },
            other => unusable(&files.certificate, &other),
        })?;
    if files.client_ca.is_some() {
        // A session that is resumed brings the certificate of the first one along, which may be revoked by now.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    let speaking = |protocol: Protocol| {
        let mut config = config.clone();
        config.alpn_protocols = vec![protocol.alpn().to_vec()];
        Arc::new(config)
    };
    Ok(Loaded {
        grpc: speaking(Protocol::Grpc),
        http: speaking(Protocol::Http),
        verifier,
        expiry,
    })
}

/// Who decides on certificates of clients: none is fine, and a bad one ends the handshake.
fn verifier(
    files: &TlsFiles,
    expiry: &mut Expiry,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let Some(path) = &files.client_ca else {
        return Ok(WebPkiClientVerifier::no_client_auth());
    };
    let file = PemFile::read(path)?;
    let ends = file.certificates()?;
    let ends = ends.iter().map(|own| certificate::expires_at(own.as_ref()));
    expiry.authority = ends.flatten().min();
    let roots = Arc::new(file.authorities()?);
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut builder =
        WebPkiClientVerifier::builder_with_provider(roots, provider).allow_unauthenticated();
    if let Some(path) = &files.client_crl {
        let lists = PemFile::read(path)?.revocation_lists()?;
        let next_updates = lists
            .iter()
            .map(|list| certificate::next_update(list.as_ref()));
        expiry.revocation_list = next_updates.flatten().min();
        // A list of each authority between would be asked for otherwise; they are the operator's own.
        builder = builder.with_crls(lists).only_check_end_entity_revocation();
    }
    builder.build().map_err(|error| TlsError::Unusable {
        path: files.client_crl.as_ref().unwrap_or(path).clone(),
        problem: error.to_string(),
    })
}

/// The time of day by which certificates are judged.
#[derive(Debug)]
struct TimeOf(Clock);

impl TimeProvider for TimeOf {
    fn current_time(&self) -> Option<UnixTime> {
        let since_epoch = self.0.now().as_duration();
        let since_epoch = Duration::try_from(since_epoch).ok()?;
        Some(UnixTime::since_unix_epoch(since_epoch))
    }
}
