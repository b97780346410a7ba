//! The bucket for those who have no keys to it: every request is signed by whoever has them, and sent by whoever wants it.
//!
//! - [`Wanted`] says what somebody would like to send, [`SignedRequest`] is what may be sent, as it is, for a while
//! - [`Sign`] is who signs: a coordinator, over the network, or this machine's own keys ([`signer`])
//! - [`SignedBucket`] has the verbs that nodes and clients need, with the errors of [`crate::bucket::Bucket`]
//!
//! A request is signed for one method and one object, with all that matters of what is put. So what its holder can do with it
//! ends with its time, and whoever steals it can do nothing else.

mod bucket;
mod checksum;
mod courier;
mod download;
mod shelf;
pub mod signer;

use std::fmt;

pub use atelier_proto::signed::{
    Content, Method, Right, Signatures, SignedRequest, WANTED_MAX, Wanted, header_value,
};

pub use self::bucket::{Links, SignedBucket};
pub use self::courier::Http;
pub use crate::bucket::SignError;

/// Who has keys to the bucket and signs with them.
#[async_trait::async_trait]
pub trait Sign: fmt::Debug + Send + Sync {
    /// Signs at most [`WANTED_MAX`] requests, all or none of them.
    async fn sign(&self, wanted: &[Wanted]) -> Result<Signatures, SignError>;
}

#[cfg(test)]
mod tests;
