//! What a node is told of whom to trust and who it is.

use std::path::PathBuf;

use clap::Args;

/// Whom this node trusts, and who it is.
#[derive(Debug, Args)]
pub struct AccessArgs {
    /// PEM file of authorities that are trusted besides the system's, for coordinators and S3 endpoints with certificates of
    /// their own; revocation lists in it count, too. All of these files are read again when they change
    #[arg(long, env = "ATELIER_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// PEM file of the certificate by which coordinators know this node
    #[arg(long, env = "ATELIER_CERT", value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// PEM file of its key
    #[arg(long, env = "ATELIER_KEY", value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// File of the token by which coordinators know this node; the variable `ATELIER_TOKEN` may hold the token itself
    #[arg(long, env = "ATELIER_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}
