//! What the programs of Atelier say to one another, and the habits they share.
//!
//! - [`v1`]: the generated code of `atelier.v1`, wire types that stop at each program's edge
//! - [`ids`]: grids, cells, nodes and digests as types that cannot be mistaken for one another
//! - [`settings`]: render settings, their defaults, ranges and overrides
//! - [`storage`]: where the bytes live; [`signed`]: requests to there that others sign
//! - [`manual`]: completions and man pages of every program
//! - [`prices`]: what cloud machines cost, for estimates
//! - [`metrics`]: the one list of metrics, and how programs register what is in it
//! - [`suggest`]: "did you mean"
//! - [`fault`]: where tests let a process die
//! - [`connect`]: the way to a coordinator: whom a program trusts, and how it says who it is
//! - [`holder`]: whose a certificate is; [`pem`], [`watched`]: the files of TLS, read again when they change
//! - [`retry`]: what is refused for now, and when to come again
//! - [`version`]: what a program is a build of, and which versions work together
//! - [`clock`], [`shutdown`], [`telemetry`], [`listen`]: how every program keeps time, ends, logs and listens
//!
//! This crate knows no S3, no database and no torch.

pub mod clock;
pub mod connect;
pub mod fault;
pub mod holder;
pub mod ids;
pub mod listen;
pub mod manual;
pub mod metrics;
pub mod pem;
pub mod prices;
#[cfg(test)]
mod released;
pub mod retry;
pub mod settings;
pub mod shutdown;
pub mod signed;
pub mod storage;
pub mod suggest;
pub mod telemetry;
pub mod version;
pub mod watched;

/// The generated messages, clients and servers of `atelier.v1`.
#[expect(
    missing_docs,
    clippy::pedantic,
    clippy::allow_attributes,
    reason = "generated code; its documentation is in the .proto files"
)]
pub mod v1 {
    tonic::include_proto!("atelier.v1");

    /// The compiled descriptors, for the reflection service.
    pub const FILE_DESCRIPTOR_SET: &[u8] =
        include_bytes!(concat!(env!("OUT_DIR"), "/atelier_v1.bin"));
}
