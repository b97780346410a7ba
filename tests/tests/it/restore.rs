//! Goal: a database and a bucket that were backed up while grids were rendered, and then lost, come back, and the grids go on:
//! by the commands of docs/backup.md.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use atelier_proto::v1;
use atelier_tests::cluster::Cluster;
use atelier_tests::moto::{Moto, REGION};
use atelier_tests::postgres::Postgres;
use atelier_tests::{pictures, programs, tools};

const CELLS: u32 = 12 * 3;
/// Of a grid of some seconds, so that there is something to lose.
const SOME: u32 = CELLS / 4;
const SIMULATED: [&str; 4] = ["--simulated-cell-time", "300ms", "--simulated-batch", "4"];

fn done(grid: &v1::GetResponse) -> u32 {
    let summary = grid.grid.as_ref().and_then(|grid| grid.summary.as_ref());
    let cells = summary.and_then(|summary| summary.cells.as_ref());
    cells.map_or(0, |cells| cells.done)
}

fn run(command: &mut Command) -> anyhow::Result<String> {
    let said = command.output().with_context(|| format!("{command:?}"))?;
    let errors = String::from_utf8_lossy(&said.stderr).into_owned();
    ensure!(said.status.success(), "{command:?}: {errors}");
    Ok(String::from_utf8_lossy(&said.stdout).into_owned())
}

fn back_up(data: &Path, to: &Path) -> anyhow::Result<serde_json::Value> {
    let mut command = Command::new(programs::folder().join("atelier-coordinator"));
    let said = run(command.arg("--data").arg(data).arg("backup").arg(to))?;
    Ok(serde_json::from_str(&said)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_is_backed_up_destroyed_and_restored_and_its_grids_go_on()
-> anyhow::Result<()> {
    let mut cluster = Cluster::coordinator().await?;
    let url = cluster.grpc.clone();
    cluster.start_simulated(&url, &SIMULATED)?;
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 12, 3)?;
    let submit = ["--set", "size=32"];
    let before = cluster.submit(work.path(), &submit).await?;
    cluster.until_complete(&before).await?;
    let grid = cluster.submit(work.path(), &submit).await?;
    let some = |grid: &v1::GetResponse| (done(grid) >= SOME).then_some(());
    cluster.until(&grid, "some pictures", some).await?;

    let data = cluster.folder.path().join("data");
    let to = work.path().join("backup");
    let first = back_up(&data, &to)?;
    let second = back_up(&data, &to)?;
    let files = |backup: &serde_json::Value, what: &str| backup["objects"][what].as_u64();
    ensure!(files(&first, "files") == files(&first, "new"), "{first}");
    ensure!(
        files(&second, "new") < files(&second, "files"),
        "what was there was copied again: {second}"
    );
    let while_served = Command::new(programs::folder().join("atelier-coordinator"))
        .arg("--data")
        .arg(&to)
        .arg("backup")
        .arg(&data)
        .output()?;
    ensure!(while_served.status.code() == Some(8), "{while_served:?}");

    // More comes that the backup does not know of: a grid, and pictures of the one that it knows.
    let done_then = done(&cluster.grid(&grid).await?);
    let more = |grid: &v1::GetResponse| (done(grid) >= done_then + 4).then_some(());
    cluster.until(&grid, "more pictures", more).await?;
    let lost = cluster.submit(work.path(), &submit).await?;
    cluster.coordinator.kill().await?;
    std::fs::remove_dir_all(&data)?;
    // To bring things back takes a while, in which the node finds its coordinator gone.
    tokio::time::sleep(Duration::from_secs(3)).await;
    run(Command::new("cp").arg("-a").arg(&to).arg(&data))?;
    cluster.coordinator_again().await?;

    // The node, which knows nothing of it, works on.
    cluster.until_complete(&grid).await?;
    for grid in [&before, &grid] {
        ensure!(done(&cluster.grid(grid).await?) == CELLS);
        let audit = ["audit", grid, "--deep"];
        cluster.atelier(work.path(), &audit).await?.success()?;
    }
    let unknown = cluster.atelier(work.path(), &["show", &lost]).await?;
    ensure!(unknown.code() != Some(0), "{}", unknown.stdout);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_and_a_bucket_elsewhere_are_backed_up_destroyed_and_restored()
-> anyhow::Result<()> {
    let (Some(postgres), Some(moto), Some(aws)) = (Postgres::start()?, tools::moto(), tools::aws())
    else {
        return Ok(());
    };
    let moto = Moto::start(&moto).await?;
    for bucket in ["galleries", "galleries-backup", "galleries-again"] {
        moto.create_bucket(bucket).await?;
    }
    let environment = moto.environment();
    let endpoint = moto.endpoint.clone();
    let told = |database: &str, bucket: &str| {
        let args = [
            ["--database", database],
            ["--s3-bucket", bucket],
            ["--s3-region", REGION],
            ["--s3-endpoint", &endpoint],
        ];
        args.concat()
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let sync = |from: &str, to: &str| {
        let mut command = Command::new(&aws);
        command.args(["s3", "sync", "--only-show-errors"]);
        command.args([format!("s3://{from}"), format!("s3://{to}")]);
        run(command.envs(environment))
    };
    let database = postgres.database()?;
    let args = told(&database, "galleries");
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut cluster = Cluster::coordinator_in(&args, &environment).await?;
    let url = cluster.grpc.clone();
    cluster.start_simulated_in(&url, &SIMULATED, &environment)?;
    let work = tempfile::tempdir()?;
    pictures::grid(work.path(), 12, 3)?;
    let submit = [
        "submit",
        "--photos",
        "photos/*.png",
        "--artists",
        "artists",
        "--json",
    ];
    let atelier = async |url: &str, args: &[&str]| {
        let mut command = programs::command("atelier", work.path());
        command.args(["--coordinator", url]).args(args);
        command.envs(environment).current_dir(work.path());
        programs::run(&mut command).await
    };
    let set = [&submit[..], &["--set", "size=32"]].concat();
    let submitted = atelier(&url, &set).await?.json()?;
    let grid = submitted["grid_id"].as_str().context("no id")?.to_owned();
    let some = |grid: &v1::GetResponse| (done(grid) >= SOME).then_some(());
    cluster.until(&grid, "some pictures", some).await?;

    // The database first, so that whatever it tells of is in the bucket.
    let dump = work.path().join("atelier.dump");
    let postgres_programs = tools::postgres().context("no PostgreSQL")?;
    let mut pg_dump = Command::new(postgres_programs.join("pg_dump"));
    run(pg_dump
        .args(["--format=custom", "--file"])
        .arg(&dump)
        .arg(&database))?;
    sync("galleries", "galleries-backup")?;
    let done_then = done(&cluster.grid(&grid).await?);
    let more = |grid: &v1::GetResponse| (done(grid) >= done_then + 4).then_some(());
    cluster.until(&grid, "more pictures", more).await?;

    // All of it is lost, machines included.
    cluster.nodes.clear();
    cluster.coordinator.kill().await?;
    let name = database.rsplit('/').next().context("no name")?;
    postgres.execute("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"))?;

    let again = postgres.database()?;
    let mut pg_restore = Command::new(postgres_programs.join("pg_restore"));
    run(pg_restore
        .args(["--no-owner", "--dbname", &again])
        .arg(&dump))?;
    sync("galleries-backup", "galleries-again")?;
    let args = told(&again, "galleries-again");
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let url = cluster.start_beside(&args, &environment).await?;
    cluster.start_simulated_in(&url, &SIMULATED, &environment)?;
    cluster.grpc.clone_from(&url);
    cluster.until_complete(&grid).await?;
    ensure!(done(&cluster.grid(&grid).await?) == CELLS);
    atelier(&url, &["audit", &grid, "--deep"])
        .await?
        .success()?;
    Ok(())
}
