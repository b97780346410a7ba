//! Pure decisions: what a grid must be, what may become of a cell, which cells a node gets.
//!
//! Nothing here does I/O, reads a clock or names tonic or sqlx: the time is an argument.

pub mod access;
pub mod allowance;
pub mod attempt;
pub mod block;
pub mod cell;
pub mod delivery;
pub mod effort;
pub mod ending;
pub mod facts;
pub mod field;
pub mod fleet;
pub mod grid;
pub mod keys;
pub mod lease;
pub mod network;
pub mod node;
pub mod rights;
pub mod share;
pub mod summary;
pub mod token;
