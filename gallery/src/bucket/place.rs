//! Where a bucket is, and whose keys open it.

use atelier_proto::signed::SignedRequest;
use secrecy::ExposeSecret as _;

/// Where a bucket is, for calls and for errors.
#[derive(Debug)]
pub(crate) struct Place {
    pub(super) bucket: String,
    /// URL.
    pub(crate) endpoint: String,
    pub(super) region: String,
    pub(super) keys: WhoseKeys,
}

/// Whose keys sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WhoseKeys {
    /// They are from this machine's own AWS configuration.
    ThisMachine,
    /// The coordinator that serves the endpoint gave them.
    CoordinatorGiven,
    /// Somebody else has them.
    Signer,
}

impl Place {
    /// Where a signed request leads to.
    pub(crate) fn signed(request: &SignedRequest, bucket: &str, region: &str) -> Self {
        let url = request.url.expose_secret();
        let after_scheme = url.find("://").map_or(0, |at| at + 3);
        let end = url[after_scheme..].find(['/', '?']);
        let endpoint = end.map_or(url, |end| &url[..after_scheme + end]);
        Self {
            bucket: bucket.to_owned(),
            endpoint: endpoint.to_owned(),
            region: region.to_owned(),
            keys: WhoseKeys::Signer,
        }
    }
}
