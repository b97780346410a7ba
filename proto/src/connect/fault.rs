//! What TLS has against a connection, in words, with what to do.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::AlertDescription as Alert;
use rustls::CertificateError as Why;

/// What TLS has against the connection to a coordinator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct TlsFault {
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub hint: &'static str,
}

impl TlsFault {
    /// The fault that an answer to a call came from, if it was one.
    pub fn of(status: &tonic::Status) -> Option<&Self> {
        let mut causes = std::iter::successors(status.source(), |&cause| cause.source());
        causes.find_map(|cause| cause.downcast_ref())
    }

    /// The fault among what caused an error of another connection, as to an S3 endpoint, if there is one.
    pub fn in_causes(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut causes = std::iter::successors(Some(error), |&cause| cause.source());
        causes.find_map(|cause| match cause.downcast_ref() {
            Some(tls) => Some(Self::of_tls(tls, false)),
            // An I/O error does not name what it wraps as its source.
            None => Self::of_io(cause.downcast_ref()?, false),
        })
    }

    pub(super) fn new(problem: impl Into<String>, hint: &'static str) -> Self {
        Self {
            problem: problem.into(),
            hint,
        }
    }

    /// The one that an I/O error tells of, if it does.
    pub(super) fn of_io(error: &std::io::Error, has_certificate: bool) -> Option<Self> {
        let cause = error.get_ref()?.downcast_ref()?;
        Some(Self::of_tls(cause, has_certificate))
    }

    pub(super) fn of_tls(error: &rustls::Error, has_certificate: bool) -> Self {
        match error {
            rustls::Error::InvalidCertificate(why) => of_their_certificate(error, why),
            rustls::Error::AlertReceived(alert) => of_alert(*alert, has_certificate)
                .unwrap_or_else(|| Self::new(error.to_string(), SERVED_BY_TLS)),
            rustls::Error::InvalidMessage(_) => Self::new(error.to_string(), SPEAKS_NO_TLS),
            _ => Self::new(error.to_string(), SERVED_BY_TLS),
        }
    }

    /// What answers a plain connection with a record of TLS.
    pub(super) fn speaks_tls() -> Self {
        Self::new(
            "what listens there speaks TLS, and was called without",
            "name it by https://",
        )
    }

    /// A connection that was made and cut before a word, by somebody who was shown a certificate.
    pub(super) fn cut_off() -> Self {
        Self::new(
            "the connection was cut when this certificate had been shown",
            "the coordinator may not accept the certificate of --cert; its log says why",
        )
    }
}

const SERVED_BY_TLS: &str = "check that a coordinator is served there by TLS";
const SPEAKS_NO_TLS: &str =
    "what listens there speaks no TLS: name it by http:// if it is within your own network";

/// What we have against the coordinator's certificate.
fn of_their_certificate(error: &rustls::Error, why: &Why) -> TlsFault {
    let hint = match why {
        Why::UnknownIssuer | Why::BadSignature => {
            "this program does not trust who issued its certificate; name the file of that authority with --ca"
        }
        Why::NotValidForName | Why::NotValidForNameContext { .. } => {
            "its certificate is for another name: say that one with --coordinator"
        }
        Why::Expired | Why::ExpiredContext { .. } => {
            "its certificate has expired and must be renewed; if it has not, set this machine's clock"
        }
        Why::NotValidYet | Why::NotValidYetContext { .. } => {
            "its certificate is not valid yet; check this machine's clock"
        }
        Why::Revoked => {
            "its certificate was revoked by who issued it: do not go on before you know why, and that it has another"
        }
        _ => "its certificate cannot be used: whoever runs it must give it another",
    };
    TlsFault::new(error.to_string(), hint)
}

/// What the coordinator has against ours, as far as it says so: <https://www.rfc-editor.org/rfc/rfc8446#section-6.2>.
fn of_alert(alert: Alert, has_certificate: bool) -> Option<TlsFault> {
    let (problem, hint) = match alert {
        Alert::CertificateRequired => (
            "it lets nobody in without a client certificate",
            "name one with --cert and --key",
        ),
        Alert::CertificateExpired if has_certificate => (
            "the client certificate has expired, or is not valid yet",
            "get a new one for --cert, as by `atelier certs`; if it is valid, the clocks differ",
        ),
        Alert::CertificateRevoked if has_certificate => (
            "the client certificate was revoked",
            "ask whoever issued the certificate of --cert for another",
        ),
        Alert::UnknownCA if has_certificate => (
            "it does not trust who issued the client certificate",
            "use a --cert of the authority that the coordinator names with --client-ca; where it names a --client-crl, \
             that must be of the same authority",
        ),
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateUnknown
        | Alert::AccessDenied
        | Alert::DecryptError
            if has_certificate =>
        {
            (
                "it does not accept the client certificate",
                "--cert must be a certificate for clients (extended key usage clientAuth) of its authority",
            )
        }
        _ => return None,
    };
    Some(TlsFault::new(problem, hint))
}

/// The fault of the connection that is made or in use, if it has one. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Fault(Arc<Mutex<Option<TlsFault>>>);

impl Fault {
    pub(super) fn set(&self, fault: Option<TlsFault>) {
        // Each change is one assignment, so a panic elsewhere leaves it whole.
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    pub(super) fn get(&self) -> Option<TlsFault> {
        let fault = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        fault.clone()
    }
}
