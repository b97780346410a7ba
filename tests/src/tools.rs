//! Programs of others that some tests need. `tests/run.sh` installs them and names them in the environment; a test
//! whose program is not there says that it was skipped. In CI the script fails first.

use std::path::PathBuf;

/// A browser, for looking at galleries as people do.
pub fn chromium() -> Option<PathBuf> {
    named("ATELIER_TEST_CHROMIUM", "a browser")
}

/// axe-core's script: tells what people cannot read, reach or hear.
pub fn axe() -> Option<PathBuf> {
    named("ATELIER_TEST_AXE", "axe-core")
}

/// moto's server: an S3 that we did not write.
pub fn moto() -> Option<PathBuf> {
    named("ATELIER_TEST_MOTO", "another S3 server")
}

/// AWS' own command line.
pub fn aws() -> Option<PathBuf> {
    named("ATELIER_TEST_AWS", "the command line of AWS")
}

/// The folder of PostgreSQL's programs.
pub fn postgres() -> Option<PathBuf> {
    named("ATELIER_TEST_POSTGRES", "PostgreSQL")
}

/// The folder with real weights and pictures.
pub fn assets() -> Option<PathBuf> {
    named("ATELIER_TEST_ASSETS", "real weights and paintings")
}

#[expect(clippy::print_stdout, reason = "it is what a test says")]
fn named(variable: &str, what: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable);
    if path.is_none() {
        println!("skipped: needs {what}, named by {variable}; `make test` sets it");
    }
    path.map(PathBuf::from)
}
