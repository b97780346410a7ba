//! The tests of the whole, in one binary: linking is most of their build.

mod bad_input;
mod bench;
mod blocks;
mod bootstrap;
mod bucket;
mod demo;
mod gallery_page;
mod grid;
mod one_shot;
