//! The way from a program to a coordinator: whom it trusts, how it says who it is, and to which of several it goes.
//!
//! - [`trust`]: certificates and authorities, read again when their files change
//! - [`token`]: the bearer token, likewise
//! - [`connector`]: makes a connection, and remembers what TLS has against it ([`fault`])
//! - [`route`]: carries calls to one coordinator or spreads them over several
//!
//! **Invariant:** a token leaves this machine by TLS alone, unless somebody said aloud that the network is trusted.

mod broken_off;
mod connector;
mod fault;
mod route;
mod token;
mod trust;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use http::Uri;
use http::uri::Scheme;
use rustls::ClientConfig;
use secrecy::SecretString;
use tonic::transport::Endpoint;

pub use self::broken_off::is_broken_off;
pub use self::fault::TlsFault;
pub use self::route::Route;
use self::token::Token;
use self::trust::Trust;
use crate::listen::is_this_machine;
use crate::pem::PemError;

/// The variable that holds a token itself. It is no flag, because the arguments of a program are for all to see.
pub const TOKEN_VARIABLE: &str = "ATELIER_TOKEN";

/// What a program is told of whom to trust and who it is.
#[derive(Debug, Clone, Default)]
pub struct AccessOptions {
    /// PEM file of authorities that are trusted besides the system's, and of their revocation lists if it has any.
    pub authorities: Option<PathBuf>,
    /// PEM file of the certificate that tells who this is, and those between it and its authority.
    pub certificate: Option<PathBuf>,
    /// PEM file of the certificate's key.
    pub key: Option<PathBuf>,
    /// File of the token that tells who this is.
    pub token_file: Option<PathBuf>,
    /// The token itself, where no file is named.
    pub token: Option<SecretString>,
    /// Whether the token may be sent without TLS beyond this machine.
    pub insecure: bool,
}

impl AccessOptions {
    /// The token that the environment holds, if it does.
    pub fn token_of_environment() -> Option<SecretString> {
        let token = std::env::var(TOKEN_VARIABLE).ok()?;
        // A variable that is set to nothing is as good as none.
        (!token.trim().is_empty()).then(|| token.into())
    }
}

/// Why there is no way to a coordinator.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A file of authorities, certificates or keys.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// A file whose contents cannot be used for TLS.
    #[error("{} cannot be used: {problem}\nhint: {hint}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What TLS says.
        problem: String,
        /// What to do.
        hint: &'static str,
    },
    /// A certificate without its key, or a key without its certificate.
    #[error("a client certificate and its key go together\nhint: name both, with --cert and --key")]
    HalfACertificate,
    /// The token.
    #[error(
        "{place} holds no token: {problem}\nhint: a token is one line, as `atelier tokens create` prints it"
    )]
    Token {
        /// Where it should be.
        place: String,
        /// What is wrong.
        problem: String,
    },
    /// The file that should hold the token.
    #[error(
        "cannot read the token file {}: {source}\n\
         hint: name the file that `atelier tokens create NAME --role ROLE --out FILE` wrote",
        path.display()
    )]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The token would be for all to read.
    #[error(
        "{url} is beyond this machine and has no TLS, so that the token would cross the network for all to read\n\
         hint: use https://, or say --insecure if the network itself is trusted"
    )]
    TokenInTheClear {
        /// Where it would go.
        url: String,
    },
    /// There is nobody to trust.
    #[error(
        "{url} has a certificate that nothing here can vouch for: this system names no authorities that it trusts\n\
         hint: name a file of authorities with --ca, or install the system's ca-certificates"
    )]
    NoAuthorities {
        /// Where one is needed.
        url: String,
    },
    /// The URL is none that a coordinator can have.
    #[error("{0:?} is not the URL of a coordinator")]
    BadUrl(String),
}

/// Whom a program trusts, and who it is. Clones share what they have read.
#[derive(Debug, Clone, Default)]
pub struct Access {
    trust: Arc<Trust>,
    token: Token,
    is_insecure: bool,
}

impl Access {
    /// Reads what is named, so that what is wrong with it is told before anything is called.
    pub fn new(options: AccessOptions) -> Result<Self, AccessError> {
        Ok(Self {
            token: Token::new(options.token_file, options.token)?,
            trust: Arc::new(Trust::new(
                options.authorities,
                options.certificate,
                options.key,
            )?),
            is_insecure: options.insecure,
        })
    }

    /// A way to the coordinators at these URLs, at least one, as in `https://atelier.example.com`. `tune` sets what
    /// connections are like. Nobody is called yet.
    pub fn route(
        &self,
        urls: &[impl AsRef<str>],
        tune: impl Fn(Endpoint) -> Endpoint,
    ) -> Result<Route, AccessError> {
        if urls.is_empty() {
            return Err(AccessError::BadUrl(String::new()));
        }
        let places = urls.iter().map(|url| Place::parse(url.as_ref()));
        let places = places.collect::<Result<Vec<_>, _>>()?;
        for place in &places {
            self.check(place)?;
        }
        let ways = places
            .iter()
            .map(|place| route::Way::new(place, &self.trust, &tune))
            .collect::<Result<_, _>>()?;
        Ok(Route::new(ways, self.token.clone()))
    }

    /// How TLS is spoken to others than coordinators, as to an S3 endpoint with a certificate of the same authority: the
    /// protocols are those of ALPN, first choice first. It says nothing of who this is.
    ///
    /// # Errors
    /// When nobody is trusted at all.
    pub fn tls_config(&self, protocols: &[&[u8]]) -> Result<Arc<ClientConfig>, AccessError> {
        self.trust.anonymous(protocols)
    }

    /// The file of authorities that are trusted besides the system's.
    pub fn authorities(&self) -> Option<&std::path::Path> {
        self.trust.authorities()
    }

    fn check(&self, place: &Place) -> Result<(), AccessError> {
        if self.token.is_some() && !place.is_tls && !place.is_local() && !self.is_insecure {
            let url = place.url.clone();
            return Err(AccessError::TokenInTheClear { url });
        }
        if place.is_tls {
            self.trust.check(&place.url)?;
        }
        Ok(())
    }
}

/// Where a coordinator is.
#[derive(Debug, Clone)]
struct Place {
    url: String,
    uri: Uri,
    is_tls: bool,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
}

impl Place {
    fn parse(url: &str) -> Result<Self, AccessError> {
        let bad = || AccessError::BadUrl(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| bad())?;
        let is_tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            _ => return Err(bad()),
        };
        let host = uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(bad());
        }
        Ok(Self {
            url: url.to_owned(),
            host: host.to_owned(),
            port: uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
            is_tls,
            uri,
        })
    }

    fn is_local(&self) -> bool {
        is_this_machine(&self.host)
    }
}

#[cfg(test)]
mod tests;
