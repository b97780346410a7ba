//! A small private authority in a folder: what makes the certificates of coordinators, nodes and people.
//!
//! ```text
//! ca.pem                     the authority's certificate, for everybody
//! ca-key.pem                 its key, for nobody else
//! crl.pem                    what was revoked, for coordinators
//! index.json                 what was issued
//! ROLE-NAME.pem, ROLE-NAME-key.pem    a certificate and its key
//! ```
//!
//! [`authority`] makes and signs, [`index`] remembers, [`names`] says what may be a name, [`files`] writes.

mod authority;
mod error;
mod files;
mod index;
mod names;
#[cfg(test)]
mod tests;

pub use self::authority::{Authority, Made};
pub use self::error::CertsError;
pub use self::index::{Entry, Kind, Standing};
pub use self::names::HostName;
