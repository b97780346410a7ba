//! `scaling-study`: days in virtual time → tables and plots. See `make scaling-study`.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use atelier_tests::scaling::study::Study;
use atelier_tests::scaling::{figures, report};
use clap::Parser;

/// Compares ways to scale the fleet on days in virtual time
///
/// The tables go to standard output.
#[derive(Debug, Parser)]
#[command(name = "scaling-study", version)]
struct Options {
    /// Days, each of a seed of its own, from 1 on
    #[arg(long, default_value_t = 5, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// Put tables and plots into this folder, which has scaling.md
    #[arg(long, value_name = "FOLDER")]
    write: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let study = Study::run(options.seeds);
    let section = report::section(&study);
    std::io::stdout().write_all(section.as_bytes())?;
    if let Some(folder) = &options.write {
        report::put(&folder.join("scaling.md"), &section)?;
        let plots = [
            ("scaling-cost.svg", figures::cost_against_waiting(&study)),
            ("scaling-day.svg", figures::day(&study)),
            ("scaling-burst.svg", figures::burst(&study)),
        ];
        for (name, plot) in plots {
            let path = folder.join(name);
            std::fs::write(&path, plot).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}
