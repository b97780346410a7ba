//! Certificates, keys and revocation lists, as PEM files have them.

use std::io;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use secrecy::{ExposeSecret as _, SecretSlice};

/// Largest file, bytes: the authorities of a whole system take a quarter of a MiB.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Why a file does not hold what it should.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It is no PEM file, or a broken one.
    #[error("{} is no PEM file that can be used: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// It holds other things.
    #[error("{} holds no {wanted}\nhint: {hint}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
        /// What to do.
        hint: &'static str,
    },
}

/// A PEM file that was read.
#[derive(Debug)]
pub struct PemFile {
    path: PathBuf,
    /// Maybe a key.
    bytes: SecretSlice<u8>,
}

impl PemFile {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, PemError> {
        let failed = |source| PemError::Read {
            path: path.to_owned(),
            source,
        };
        let bytes_there = std::fs::metadata(path).map_err(failed)?.len();
        if bytes_there > FILE_BYTES_MAX {
            return Err(PemError::Malformed {
                path: path.to_owned(),
                problem: "it is larger than 16 MiB".to_owned(),
            });
        }
        Ok(Self {
            path: path.to_owned(),
            bytes: std::fs::read(path).map_err(failed)?.into(),
        })
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.expose_secret()
    }

    /// Its certificates, at least one, in their order.
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, PemError> {
        let hint = "it must be a PEM file, with -----BEGIN CERTIFICATE-----";
        self.at_least_one("certificate", hint)
    }

    /// Its certificates, at least one, as authorities that are trusted.
    pub fn authorities(&self) -> Result<RootCertStore, PemError> {
        let mut authorities = RootCertStore::empty();
        for certificate in self.certificates()? {
            authorities
                .add(certificate)
                .map_err(|error| PemError::Malformed {
                    path: self.path.clone(),
                    problem: error.to_string(),
                })?;
        }
        Ok(authorities)
    }

    /// Its revocation lists, at least one.
    pub fn revocation_lists(&self) -> Result<Vec<CertificateRevocationListDer<'static>>, PemError> {
        let hint = "it must be a PEM file, with -----BEGIN X509 CRL-----";
        self.at_least_one("revocation list", hint)
    }

    /// Its revocation lists, if it has any.
    pub fn revocation_lists_if_any(
        &self,
    ) -> Result<Vec<CertificateRevocationListDer<'static>>, PemError> {
        self.all()
    }

    /// Its first private key: PKCS#8, PKCS#1 or SEC1.
    pub fn key(&self) -> Result<PrivateKeyDer<'static>, PemError> {
        match PrivateKeyDer::from_pem_slice(self.bytes.expose_secret()) {
            Ok(key) => Ok(key),
            Err(pem::Error::NoItemsFound) => Err(self.missing(
                "private key",
                "it must be a PEM file with a key that is not encrypted, as in -----BEGIN PRIVATE KEY-----",
            )),
            Err(error) => Err(self.malformed(&error)),
        }
    }

    fn at_least_one<T: PemObject>(
        &self,
        wanted: &'static str,
        hint: &'static str,
    ) -> Result<Vec<T>, PemError> {
        let all = self.all()?;
        if all.is_empty() {
            return Err(self.missing(wanted, hint));
        }
        Ok(all)
    }

    fn all<T: PemObject>(&self) -> Result<Vec<T>, PemError> {
        T::pem_slice_iter(self.bytes.expose_secret())
            .collect::<Result<_, _>>()
            .map_err(|error| self.malformed(&error))
    }

    fn missing(&self, wanted: &'static str, hint: &'static str) -> PemError {
        PemError::Missing {
            path: self.path.clone(),
            wanted,
            hint,
        }
    }

    fn malformed(&self, error: &pem::Error) -> PemError {
        PemError::Malformed {
            path: self.path.clone(),
            problem: error.to_string(),
        }
    }
}
