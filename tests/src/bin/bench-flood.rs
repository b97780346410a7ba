//! `bench-flood`: options → measurement → table, or the flood itself. See `make bench-flood`.

use std::io::Write as _;

use anyhow::Context as _;
use atelier_tests::flood::attack::{Attack, TOKEN_VARIABLE, Target};
use atelier_tests::flood::{self, Options};
use atelier_tests::markdown::put_section;
use clap::Parser as _;
use tokio::io::AsyncReadExt as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if let Some(attack) = options.flood {
        return flood(attack, options).await;
    }
    let measured = Box::pin(flood::run(&options)).await?;
    let section = measured.section();
    std::io::stdout().write_all(section.as_bytes())?;
    if let Some(path) = &options.write {
        put_section(path, "bench-flood", "one flooder", &section)?;
    }
    Ok(())
}

/// Floods until standard input ends.
async fn flood(attack: Attack, options: Options) -> anyhow::Result<()> {
    atelier_tests::bench::watchers::allow_connections()?;
    // clap sees to it that they are there.
    let target = Target {
        grpc: options.grpc.context("--grpc")?,
        token: std::env::var(TOKEN_VARIABLE).context(TOKEN_VARIABLE)?,
        grid: options.grid.context("--grid")?,
    };
    let done = async {
        // However it ends, it has ended.
        let _ = tokio::io::stdin().read(&mut [0]).await;
    };
    let sent = attack.flood(target, done).await?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", serde_json::to_string(&sent)?)?;
    stdout.flush()?;
    // What is still on its way is of no use.
    std::process::exit(0);
}
