//! Writes libtorch's place into the programs, as `gpu-node/build.rs` does into its own: arguments for the linker are not
//! passed on to whoever depends on a crate.

use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    println!("cargo::rerun-if-env-changed=LIBTORCH_LIB");
    let libtorch = std::env::var_os("LIBTORCH").map(|root| PathBuf::from(root).join("lib"));
    let library = std::env::var_os("LIBTORCH_LIB").map(|root| PathBuf::from(root).join("lib"));
    if let Some(library) = library.or(libtorch) {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{}", library.display());
    }
}
