//! A GPU node: leases cells, renders them with libtorch, uploads the pictures.
//!
//! Code map: [`cli`] and [`commands`] are what a person can ask for; [`session`] is a node's life with a
//! coordinator; [`executor`] is the thread that owns a [`render::Renderer`]; [`render`] alone knows torch;
//! [`weights`] reads and fetches networks; [`inputs`] keeps photos and paintings on disk.

pub mod cli;
pub mod commands;
pub mod executor;
pub mod inputs;
pub mod render;
pub mod session;
pub mod weights;
