//! Compiles what the bindings of libtorch lack, and writes libtorch's place and version into the programs, so that they find
//! it without an environment variable and can say which one they were made for.

use std::path::{Path, PathBuf};

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
    println!("cargo::rerun-if-env-changed=ATELIER_LIBTORCH_RPATH");
    for shim in SHIMS.into_iter().chain(HEADERS) {
        println!("cargo::rerun-if-changed={shim}");
    }
    let place = |variable: &str, folder: &str| {
        let root = std::env::var_os(variable).or_else(|| std::env::var_os("LIBTORCH"));
        root.map(|root| PathBuf::from(root).join(folder))
    };
    let mut shim = cc::Build::new();
    shim.cpp(true).std("c++17").files(SHIMS).warnings(false);
    let mut version = None;
    if let Some(headers) = place("LIBTORCH_INCLUDE", "include") {
        version = version_of(&headers);
        shim.include(headers.join("torch/csrc/api/include"));
        shim.include(headers);
    }
    shim.compile("atelier_shims");
    let version = version.unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=ATELIER_LIBTORCH={version}");
    // Of a program for other machines, where libtorch lies there: folders with colons between, `$ORIGIN` for its own.
    if let Ok(folders) = std::env::var("ATELIER_LIBTORCH_RPATH") {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{folders}");
    } else if let Some(library) = place("LIBTORCH_LIB", "lib") {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{}", library.display());
    }
}

/// As in `2.11.0`. Nothing of a libtorch can be asked for it but its headers.
fn version_of(headers: &Path) -> Option<String> {
    let places = [
        "torch/headeronly/version.h",
        "torch/csrc/api/include/torch/version.h",
    ];
    let number = |text: &str, name: &str| -> Option<u32> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse().ok()
    };
    places.iter().find_map(|place| {
        let text = std::fs::read_to_string(headers.join(place)).ok()?;
        let major = number(&text, "#define TORCH_VERSION_MAJOR")?;
        let minor = number(&text, "#define TORCH_VERSION_MINOR")?;
        let patch = number(&text, "#define TORCH_VERSION_PATCH")?;
        Some(format!("{major}.{minor}.{patch}"))
    })
}
