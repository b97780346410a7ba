//! What certificates and revocation lists say. Whether they are valid is for TLS to decide.

use atelier_proto::holder::{Holder, HolderError};
use jiff::Timestamp;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};
use x509_parser::time::ASN1Time;

/// Why a certificate names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoHolder {
    /// It cannot be read.
    #[error("the client certificate cannot be read")]
    Unreadable,
    /// It names nobody in the way that coordinators know.
    #[error(
        "the client certificate names no role and holder\n\
         hint: it needs a URI urn:atelier:ROLE:NAME among its subject alternative names, as `atelier certs` makes them"
    )]
    Nobody,
    /// It names several.
    #[error(
        "the client certificate names several holders\nhint: it may have one URI urn:atelier:ROLE:NAME"
    )]
    Several,
    /// What it names is none.
    #[error("the client certificate names no holder: {0}")]
    Malformed(#[from] HolderError),
}

/// Whom a certificate names.
pub(super) fn holder(certificate: &[u8]) -> Result<Holder, NoHolder> {
    let parsed = X509Certificate::from_der(certificate);
    let (_, certificate) = parsed.map_err(|_| NoHolder::Unreadable)?;
    let names = certificate.subject_alternative_name();
    let names = names.map_err(|_| NoHolder::Unreadable)?;
    let mut claims = names
        .iter()
        .flat_map(|names| &names.value.general_names)
        .filter_map(|name| match name {
            GeneralName::URI(uri) if Holder::is_claimed_by(uri) => Some(*uri),
            _ => None,
        });
    match (claims.next(), claims.next()) {
        (None, _) => Err(NoHolder::Nobody),
        (Some(one), None) => Ok(one.parse()?),
        (Some(_), Some(_)) => Err(NoHolder::Several),
    }
}

/// The time after which a certificate is not valid any more.
pub(super) fn expires_at(certificate: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    timestamp(certificate.validity().not_after)
}

/// The time by which there should be a newer list, if it says so.
pub(super) fn next_update(revocation_list: &[u8]) -> Option<Timestamp> {
    let (_, list) = CertificateRevocationList::from_der(revocation_list).ok()?;
    timestamp(list.next_update()?)
}

fn timestamp(time: ASN1Time) -> Option<Timestamp> {
    Timestamp::from_second(time.timestamp()).ok()
}
