//! A GPU node: leases cells, renders them with libtorch, uploads the pictures.
//!
//! Code map: [`cli`] and [`commands`] are what a person can ask for, [`whole_file`] writes their answers; [`session`] is a
//! node's life with a coordinator; [`executor`] is the thread that owns a [`render::Renderer`], or simulates one; [`render`]
//! alone knows torch; [`weights`] reads and fetches networks; [`inputs`] keeps photos and paintings on disk and in memory,
//! by [`shelf`]; [`checkpoint_pace`] says when a render is to be kept; [`provenance`] is what pictures tell of themselves,
//! [`flat`] what simulated ones are; [`metrics`], [`readiness`], [`device_time`], [`start_up`], [`log_tail`] and [`cell_log`]
//! are what a node tells of itself, [`causes`] puts its errors into words; [`departure`] is what makes it leave, [`ec2`] the
//! machine that it runs on.

mod causes;
pub mod cell_log;
pub mod checkpoint_pace;
pub mod cli;
pub mod commands;
pub mod departure;
pub mod device_time;
pub mod ec2;
pub mod executor;
pub mod flat;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod inputs;
pub mod log_tail;
pub mod metrics;
pub mod provenance;
pub mod readiness;
pub mod render;
pub mod session;
mod shelf;
pub mod start_up;
pub mod weights;
pub mod whole_file;
