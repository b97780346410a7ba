//! The tests of the whole, in one binary: linking is most of their build.

mod bad_input;
mod bench;
mod blocks;
mod board;
mod board_acts;
mod bootstrap;
mod bucket;
mod checkpoints;
mod cloud;
mod cloud_waits;
mod demo;
mod faults;
mod fetch;
mod gallery_page;
mod grid;
mod modes;
mod nodes;
mod notices;
mod one_shot;
mod restore;
mod scaling;
mod soak;
mod tls;
mod weights;
