//! What the bucket holds, and how programs put it there and read it back.
//!
//! - [`bucket`], the only S3 client: put-if-absent, and errors that say what to do
//! - [`keys`], what lies where, and how names of people become keys
//! - [`manifest`], `gallery.json`
//! - [`page`], `index.html`; [`contact_sheet`], all of a gallery as one picture
//! - [`picture`], picture files, in and out
//!
//! This crate knows S3; it names no gRPC type and no torch.

pub mod bucket;
pub mod contact_sheet;
pub mod keys;
pub mod manifest;
pub mod page;
pub mod picture;
