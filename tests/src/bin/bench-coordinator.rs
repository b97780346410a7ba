//! `bench-coordinator`: options → measurement → table. See `make bench-coordinator`. Fails where a part of it could not be
//! measured, after the table that says which.

use std::io::Write as _;

use atelier_tests::bench;
use atelier_tests::bench::options::Options;
use atelier_tests::markdown::put_section;
use clap::Parser as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let measured = bench::run(&options).await?;
    let section = measured.section();
    std::io::stdout().write_all(section.as_bytes())?;
    if let Some(path) = &options.write {
        put_section(path, "bench-coordinator", &measured.key(), &section)?;
    }
    anyhow::ensure!(
        measured.is_whole(),
        "not all of it was measured: the end of the table says what"
    );
    Ok(())
}
