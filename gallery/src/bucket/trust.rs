//! HTTP for an S3 endpoint whose certificate is of an authority of one's own.

use std::path::Path;

use atelier_proto::pem::PemFile;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use super::BucketError;

/// A client that trusts the system's authorities and those of a PEM file. The file is read once.
pub(super) fn client(authorities: &Path) -> Result<SharedHttpClient, BucketError> {
    let file = PemFile::read(authorities)?;
    // The builder takes it for granted that it can be used.
    file.authorities()?;
    let trusted = TrustStore::default().with_pem_certificate(file.bytes());
    let context = TlsContext::builder()
        .with_trust_store(trusted)
        .build()
        .unwrap_or_default();
    Ok(Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .tls_context(context)
        .build_https())
}
