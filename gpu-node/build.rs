//! Writes libtorch's place into the programs, so that they find it without an environment variable.

use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    println!("cargo::rerun-if-env-changed=LIBTORCH_LIB");
    let library = std::env::var_os("LIBTORCH_LIB")
        .or_else(|| std::env::var_os("LIBTORCH"))
        .map(|root| PathBuf::from(root).join("lib"));
    if let Some(library) = library {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{}", library.display());
    }
}
