//! What the bucket holds, and how programs put it there and read it back.
//!
//! - [`bucket`], the S3 client of those who have keys, and errors that say what to do; [`signed`], that of all others
//! - [`keys`], what lies where, and how names of people become keys
//! - [`manifest`], `gallery.json`
//! - [`page`], `index.html`; [`contact_sheet`], all of a gallery as one picture
//! - [`picture`], picture files, in and out
//!
//! This crate knows S3; it names no gRPC type and no torch.

pub mod bucket;
pub mod contact_sheet;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod keys;
pub mod manifest;
pub mod page;
pub mod picture;
pub mod signed;
