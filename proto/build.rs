//! Compiles `proto/atelier/v1` with protox, so that no `protoc` has to be installed, and tells the programs what builds them.

use std::path::Path;
use std::process::Command;

use prost::Message as _;

const PROTOS: [&str; 7] = [
    "atelier/v1/settings.proto",
    "atelier/v1/common.proto",
    "atelier/v1/grids.proto",
    "atelier/v1/nodes.proto",
    "atelier/v1/bucket.proto",
    "atelier/v1/fleet.proto",
    "atelier/v1/tokens.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    let out_dir = std::env::var("OUT_DIR")?;
    // The reflection service serves this file.
    std::fs::write(
        Path::new(&out_dir).join("atelier_v1.bin"),
        descriptors.encode_to_vec(),
    )?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    // No commit: whatever this script tells has every crate compiled anew when it changes.
    println!(
        "cargo::rustc-env=ATELIER_TARGET={}",
        std::env::var("TARGET")?
    );
    println!("cargo::rustc-env=ATELIER_RUSTC={}", rustc()?);
    Ok(())
}

/// As in `1.95.0`.
fn rustc() -> Result<String, Box<dyn std::error::Error>> {
    let told = Command::new(std::env::var("RUSTC")?)
        .arg("--version")
        .output()?;
    let told = String::from_utf8(told.stdout)?;
    Ok(told.split(' ').nth(1).unwrap_or("unknown").to_owned())
}
