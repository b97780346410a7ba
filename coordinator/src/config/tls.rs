//! What a coordinator is told of TLS.

use std::path::PathBuf;

use clap::Args;

use crate::listen::TlsFiles;

/// TLS.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connections")]
pub struct TlsArgs {
    /// PEM file of the certificate by which gRPC, board, S3 endpoint and metrics are served, with those between it and its
    /// authority. This file and the next three are read again when they change, and on SIGHUP
    #[arg(
        long,
        env = "ATELIER_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    pub tls_cert: Option<PathBuf>,
    /// PEM file of its key
    #[arg(
        long,
        env = "ATELIER_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub tls_key: Option<PathBuf>,
    /// PEM file of the authorities by whose certificates clients and nodes may say who they are. Who shows none is let
    /// connect; who shows a bad one is not
    #[arg(
        long,
        env = "ATELIER_CLIENT_CA",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub client_ca: Option<PathBuf>,
    /// PEM file of the revocation lists of those authorities, one of each
    #[arg(
        long,
        env = "ATELIER_CLIENT_CRL",
        value_name = "FILE",
        requires = "client_ca"
    )]
    pub client_crl: Option<PathBuf>,
}

impl TlsArgs {
    /// The files, if TLS is spoken.
    pub fn files(self) -> Option<TlsFiles> {
        // clap sees to it that neither comes without the other.
        Some(TlsFiles {
            certificate: self.tls_cert?,
            key: self.tls_key?,
            client_ca: self.client_ca,
            client_crl: self.client_crl,
        })
    }
}
