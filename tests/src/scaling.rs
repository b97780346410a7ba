//! A day of the fleet in virtual time: what it costs and how long grids wait, by the coordinator's decision and by others.
//!
//! - [`arrivals`]: what the day brings; [`chance`]: by what it is drawn
//! - [`machines`]: the group as AWS keeps it; [`node`]: what works; [`backlog`]: what there is to do
//! - [`strategies`]: ways to scale, of which one is [`atelier_coordinator::domain::fleet::decide`] itself
//! - [`world`]: what happens, in its order; [`outcome`]: what became of it
//! - [`study`]: what is compared; [`report`] and [`figures`], which [`plot`] draws: what is told of it
//!
//! No clock runs and nothing is asked of the network: a day takes a second. See `docs/scaling.md`.

pub mod arrivals;
pub mod backlog;
pub mod chance;
pub mod figures;
pub mod machines;
pub mod node;
pub mod outcome;
pub mod plot;
pub mod report;
mod seen;
pub mod strategies;
pub mod study;
pub mod world;

#[cfg(test)]
mod tests;
