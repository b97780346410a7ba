//! Whom a program trusts and with what certificate it says who it is: TLS configurations that follow their files.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, RootCertStore};

use super::AccessError;
use crate::pem::PemFile;
use crate::watched::Stamps;

/// HTTP/2, which gRPC is spoken by.
const GRPC: &[u8] = b"h2";

/// Files, and what was made of them last.
#[derive(Debug, Default)]
pub(super) struct Trust {
    authorities: Option<PathBuf>,
    /// The certificate and its key.
    identity: Option<(PathBuf, PathBuf)>,
    last: Mutex<Option<Last>>,
}

#[derive(Debug, Clone)]
struct Last {
    stamps: Stamps,
    config: Arc<ClientConfig>,
}

impl Trust {
    pub(super) fn new(
        authorities: Option<PathBuf>,
        certificate: Option<PathBuf>,
        key: Option<PathBuf>,
    ) -> Result<Self, AccessError> {
        let identity = match (certificate, key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate, key)),
            _ => return Err(AccessError::HalfACertificate),
        };
        let trust = Self {
            authorities,
            identity,
            last: Mutex::default(),
        };
        // Without files there is nothing to be wrong, and the system's authorities are read when they are needed.
        if trust.authorities.is_some() || trust.identity.is_some() {
            trust.config()?;
        }
        Ok(trust)
    }

    pub(super) fn authorities(&self) -> Option<&Path> {
        self.authorities.as_deref()
    }

    pub(super) fn has_certificate(&self) -> bool {
        self.identity.is_some()
    }

    /// Whether there is anybody to trust, for the certificate of what is at this URL.
    pub(super) fn check(&self, url: &str) -> Result<(), AccessError> {
        if self.authorities.is_none() && system_authorities().is_empty() {
            let url = url.to_owned();
            return Err(AccessError::NoAuthorities { url });
        }
        Ok(())
    }

    /// How gRPC is spoken by TLS now. Files that changed since the last call are read again; when they cannot be used, it
    /// goes on as before.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, AccessError> {
        let stamps = Stamps::of(self.files());
        // Each change is one assignment, so a panic elsewhere leaves it whole.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = &*last
            && last.stamps == stamps
        {
            return Ok(last.config.clone());
        }
        let config = match (self.build(), &*last) {
            (Ok(config), _) => Arc::new(config),
            (Err(error), Some(before)) => {
                tracing::warn!(%error, "the files of TLS cannot be used; going on with those before");
                before.config.clone()
            }
            (Err(error), None) => return Err(error),
        };
        *last = Some(Last {
            stamps,
            config: config.clone(),
        });
        Ok(config)
    }

    /// The same without a certificate of our own.
    pub(super) fn anonymous(&self, protocols: &[&[u8]]) -> Result<Arc<ClientConfig>, AccessError> {
        let mut config = self.verifying()?.with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }

    fn files(&self) -> impl Iterator<Item = &Path> {
        let identity = self.identity.iter().flat_map(|(one, other)| [one, other]);
        let files = self.authorities.iter().chain(identity);
        files.map(PathBuf::as_path)
    }

    fn build(&self) -> Result<ClientConfig, AccessError> {
        let verifying = self.verifying()?;
        let mut config = match &self.identity {
            None => verifying.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = PemFile::read(certificate)?.certificates()?;
                let secret = PemFile::read(key)?.key()?;
                let config = verifying.with_client_auth_cert(chain, secret);
                config.map_err(|error| AccessError::Unusable {
                    path: key.clone(),
                    problem: match error {
                        rustls::Error::InconsistentKeys(_) => {
                            format!("it is not the key of {}", certificate.display())
                        }
                        other => other.to_string(),
                    },
                    hint: "--cert and --key must name the certificate and the key that were made together",
                })?
            }
        };
        config.alpn_protocols = vec![GRPC.to_vec()];
        Ok(config)
    }

    fn verifying(
        &self,
    ) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>, AccessError>
    {
        let mut roots = system_authorities().clone();
        let mut revoked = Vec::new();
        if let Some(path) = &self.authorities {
            let file = PemFile::read(path)?;
            roots.roots.extend(file.authorities()?.roots);
            revoked = file.revocation_lists_if_any()?;
        }
        let versions = ClientConfig::builder_with_provider(provider());
        let builder = versions
            .with_safe_default_protocol_versions()
            .map_err(|error| self.unusable(&error))?;
        if revoked.is_empty() {
            return Ok(builder.with_root_certificates(roots));
        }
        // Nothing is known of the system's authorities here, and that is as it always was.
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .with_crls(revoked)
            .only_check_end_entity_revocation()
            .allow_unknown_revocation_status()
            .build()
            .map_err(|error| self.unusable(&error))?;
        Ok(builder.with_webpki_verifier(verifier))
    }

    fn unusable(&self, error: &dyn std::error::Error) -> AccessError {
        AccessError::Unusable {
            path: self.authorities.clone().unwrap_or_default(),
            problem: error.to_string(),
            hint: "check what --ca names",
        }
    }
}

/// The one cryptography of this project.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let make = || Arc::new(aws_lc_rs::default_provider());
    PROVIDER.get_or_init(make).clone()
}

/// Those that the system trusts, or the file that `SSL_CERT_FILE` names; read once.
fn system_authorities() -> &'static RootCertStore {
    static AUTHORITIES: OnceLock<RootCertStore> = OnceLock::new();
    AUTHORITIES.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        for error in found.errors {
            tracing::debug!(%error, "some of the system's authorities cannot be read");
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        roots
    })
}
