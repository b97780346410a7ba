//! What readers of others' messages hold, for `fuzz/` and for tests over its corpora: each takes any bytes and panics where its
//! property does not hold. No other build has them.

pub use crate::identity::fuzzing::token;
pub use crate::identity::oidc::fuzzing::{claims, issuer_keys};
pub use crate::listen::fuzzing::certificate;
pub use crate::rpc::fuzzing::{metadata, requests};
pub use crate::s3::fuzzing::chunks;
pub use crate::webhooks::fuzzing::webhooks;

#[cfg(test)]
mod tests {
    use atelier_tests::corpus::{hold, write_seeds};

    use crate::{identity, listen, rpc, s3, webhooks};

    #[test]
    fn every_request() {
        hold("requests", 2_000, super::requests);
    }

    #[test]
    fn metadata_of_calls() {
        hold("metadata", 5_000, super::metadata);
    }

    #[test]
    fn certificates_of_callers() {
        hold("certificate", 5_000, super::certificate);
    }

    #[test]
    fn tokens_of_callers() {
        hold("token", 5_000, super::token);
    }

    #[test]
    fn claims_of_logins() {
        hold("claims", 5_000, super::claims);
    }

    #[test]
    fn chunks_of_bodies() {
        hold("chunks", 2_000, super::chunks);
    }

    #[test]
    fn files_of_webhooks() {
        hold("webhooks", 5_000, super::webhooks);
    }

    #[test]
    fn keys_of_issuers() {
        hold("issuer_keys", 5_000, super::issuer_keys);
    }

    #[test]
    #[ignore = "writes seeds into fuzz/corpus/: make corpus"]
    fn seeds_are_written() {
        write_seeds("requests", rpc::fuzzing::seeds::requests());
        write_seeds("metadata", rpc::fuzzing::seeds::metadata());
        write_seeds("certificate", listen::fuzzing::seeds());
        write_seeds("token", identity::fuzzing::seeds());
        write_seeds("claims", identity::oidc::fuzzing::seeds_of_claims());
        write_seeds("chunks", s3::fuzzing::seeds());
        write_seeds("webhooks", webhooks::fuzzing::seeds());
        write_seeds("issuer_keys", identity::oidc::fuzzing::seeds_of_keys());
    }
}
