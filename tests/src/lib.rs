//! What the tests of the whole share: the real programs as processes, a cluster of them, small pictures.
//!
//! Nothing here stands in for a part of Atelier: the database, the S3 endpoint, the network and the renderer are
//! the ones that people run. What stands in for the cloud or for a company says so: [`aws`], [`collector`] of traces,
//! [`issuer`], [`metadata`], [`moto`], and [`receiver`], which is told by webhooks.
//! [`corpus`] holds readers of others' files and messages to what they promise.
//! Only [`scaling`] lives through whole days without them, to see what the fleet would do.

pub mod aws;
pub mod bench;
pub mod browser;
pub mod cluster;
pub mod collector;
pub mod corpus;
pub mod flood;
pub mod identity;
pub mod issuer;
pub mod markdown;
pub mod metadata;
pub mod metrics;
pub mod moto;
pub mod pictures;
pub mod postgres;
pub mod programs;
pub mod proxy;
pub mod receiver;
pub mod scaling;
pub mod served;
pub mod tls;
pub mod tools;
