//! A GPU node: leases cells, renders them with libtorch, uploads the pictures.
//!
//! Code map: [`cli`] and [`commands`] are what a person can ask for; [`session`] is a node's life with a
//! coordinator; [`executor`] is the thread that owns a [`render::Renderer`]; [`render`] alone knows torch;
//! [`weights`] reads and fetches networks; [`inputs`] keeps photos and paintings on disk and in memory; [`provenance`] is
//! what pictures tell of themselves; [`metrics`] and [`device_time`] are what a node tells of itself.

pub mod checkpoint_pace;
pub mod cli;
pub mod commands;
pub mod device_time;
pub mod executor;
pub mod inputs;
pub mod metrics;
pub mod provenance;
pub mod render;
pub mod session;
pub mod weights;
