//! What a client is told of whom to trust and who it is.

use std::path::PathBuf;

use atelier_proto::connect::{Access, AccessOptions};
use clap::Args;

use crate::coordinator::RpcError;
use crate::profiles::{Profile, Profiles};

/// Whom this client trusts, and who it is.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct AccessArgs {
    /// PEM file of authorities that are trusted besides the system's, for coordinators and S3 endpoints with
    /// certificates of their own; revocation lists in it count, too
    #[arg(long, global = true, env = "ATELIER_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// PEM file of the certificate by which coordinators know this client; with --key
    #[arg(long, global = true, env = "ATELIER_CERT", value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// PEM file of its key
    #[arg(long, global = true, env = "ATELIER_KEY", value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// File of the token by which coordinators know this client; the variable `ATELIER_TOKEN` may hold the token itself
    #[arg(long, global = true, env = "ATELIER_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Send the token without TLS beyond this machine, too
    #[arg(long, global = true, env = "ATELIER_INSECURE", hide_short_help = true)]
    pub insecure: bool,
}

impl AccessArgs {
    /// What the command line and the environment say; what they leave open, the profile does.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub fn access(&self, profile: Option<(&Profiles, &Profile)>) -> Result<Access, RpcError> {
        let of_profile = |file: fn(&Profile) -> &Option<PathBuf>| {
            let (profiles, profile) = profile?;
            file(profile).as_deref().map(|path| profiles.file(path))
        };
        let token = AccessOptions::token_of_environment();
        // A certificate and its key are of one place.
        let (certificate, key) = if self.cert.is_some() || self.key.is_some() {
            (self.cert.clone(), self.key.clone())
        } else {
            (
                of_profile(|profile| &profile.cert),
                of_profile(|profile| &profile.key),
            )
        };
        let token_file = match &self.token_file {
            None if token.is_none() => of_profile(|profile| &profile.token_file),
            told => told.clone(),
        };
        let authorities = self.ca.clone();
        let options = AccessOptions {
            authorities: authorities.or_else(|| of_profile(|profile| &profile.ca)),
            certificate,
            key,
            token_file,
            token,
            insecure: self.insecure,
        };
        Ok(Access::new(options)?)
    }
}
