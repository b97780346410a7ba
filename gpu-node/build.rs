//! Compiles what the bindings of libtorch lack, and writes libtorch's place into the programs, so that they find it
//! without an environment variable.

use std::path::PathBuf;

/// The parts in C++.
const SHIMS: [&str; 4] = [
    "src/render/gpu/kernels.cpp",
    "src/render/gpu/passes.cpp",
    "src/render/packed.cpp",
    "src/render/tf32.cpp",
];
/// What they share.
const HEADERS: [&str; 2] = ["src/render/gpu/kernels.h", "src/render/shim.h"];

fn main() {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    println!("cargo::rerun-if-env-changed=LIBTORCH_LIB");
    println!("cargo::rerun-if-env-changed=LIBTORCH_INCLUDE");
    for shim in SHIMS.into_iter().chain(HEADERS) {
        println!("cargo::rerun-if-changed={shim}");
    }
    let place = |variable: &str, folder: &str| {
        let root = std::env::var_os(variable).or_else(|| std::env::var_os("LIBTORCH"));
        root.map(|root| PathBuf::from(root).join(folder))
    };
    let mut shim = cc::Build::new();
    shim.cpp(true).std("c++17").files(SHIMS).warnings(false);
    if let Some(headers) = place("LIBTORCH_INCLUDE", "include") {
        shim.include(headers.join("torch/csrc/api/include"));
        shim.include(headers);
    }
    shim.compile("atelier_shims");
    if let Some(library) = place("LIBTORCH_LIB", "lib") {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{}", library.display());
    }
}
