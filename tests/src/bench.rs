//! `make bench-coordinator`: how much one coordinator carries.
//!
//! Nothing stands in for a part of Atelier but the renderer: the coordinator, its databases, the network and the nodes'
//! sessions are those that people run. What comes out are rates and ratios of one run on one machine; nothing is asserted.
//!
//! - [`site`] is a coordinator with an empty database
//! - [`load`] puts nodes to work and measures, with a [`probe`] that leases and [`watchers`] that watch
//! - [`sizes`] renders the same small grids with little and with much in the database
//! - [`graphile`] is what it is compared with
//! - [`report`] makes the table; [`machine`] and [`process`] ask the system

pub mod graphile;
pub mod load;
pub mod machine;
pub mod options;
pub mod probe;
pub mod process;
pub mod report;
pub mod site;
pub mod sizes;
pub mod watchers;

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use self::options::{DatabaseKind, Options, Part, Scale};
use self::report::{Measured, OnDatabase};
use self::site::{Database, Site};
use crate::postgres::Postgres;
use crate::programs::folder;

/// What a server is told that must keep what it said it kept.
const POSTGRES_SETTINGS: [&str; 2] = ["fsync=on", "synchronous_commit=on"];
/// How long a comparison of sizes may take.
const SIZES_PATIENCE: Duration = Duration::from_mins(10);

/// Measures what the options ask for.
///
/// # Errors
/// When a program fails; what is not installed is a note.
pub async fn run(options: &Options) -> anyhow::Result<Measured> {
    let scale = options.scale();
    watchers::allow_connections()?;
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut machine = machine::describe(&workspace, &folder().join("atelier-coordinator"));
    let mut notes = Vec::new();
    // On the thread of this program that lives the longest: the server leaves with the thread that starts it.
    let server = Postgres::start_with(&POSTGRES_SETTINGS)?;
    match &server {
        Some(server) => {
            let version = server.execute("postgres", "SHOW server_version")?;
            let settings = POSTGRES_SETTINGS.join(", ");
            machine.push(("PostgreSQL", format!("{}, {settings}", version.trim())));
        }
        None if options.databases.contains(&DatabaseKind::Postgres) => {
            notes.push("PostgreSQL is not installed".to_owned());
        }
        None => {}
    }
    let mut databases = Vec::new();
    for kind in &options.databases {
        let database = match (kind, &server) {
            (DatabaseKind::Sqlite, _) => Database::Sqlite,
            (DatabaseKind::Postgres, Some(server)) => Database::Postgres(server),
            (DatabaseKind::Postgres, None) => continue,
        };
        databases.push(on_database(database, &scale, &options.parts, &mut notes).await?);
    }
    let graphile = match &server {
        Some(server) if options.parts.contains(&Part::Graphile) => {
            say("Graphile Worker");
            let ran = graphile::run(server, &workspace, &scale).await;
            Some(ran.map_err(|error| format!("{error:#}")))
        }
        Some(_) | None => None,
    };
    Ok(Measured {
        machine,
        scale,
        databases,
        graphile,
        notes,
    })
}

async fn on_database(
    database: Database<'_>,
    scale: &Scale,
    parts: &[Part],
    notes: &mut Vec<String>,
) -> anyhow::Result<OnDatabase> {
    let mut measured = OnDatabase {
        name: database.name(),
        submission: None,
        loads: Vec::new(),
        at_length: None,
        sizes: None,
    };
    if parts.contains(&Part::Load) {
        for (index, cell_time) in scale.cell_times.iter().enumerate() {
            let what = format!("{}, {} ms for a cell", measured.name, cell_time.as_millis());
            say(&what);
            let is_watched = index + 1 == scale.cell_times.len();
            let mut site = Site::start(database, scale).await?;
            let running = load::run(&mut site, scale, *cell_time, is_watched);
            match tokio::time::timeout(scale.patience(), running).await {
                Ok(Ok((submission, loaded))) => {
                    measured.submission.get_or_insert(submission);
                    measured.loads.push(loaded);
                }
                // A load that is too much for it says something, too.
                Ok(Err(error)) => notes.push(format!("{what}: {error:#}")),
                Err(_) => notes.push(format!("{what}: it did not keep up with the measurement")),
            }
        }
    }
    if let Some(cell_time) = scale.cell_times.first()
        && parts.contains(&Part::Memory)
    {
        let what = format!("{}, memory", measured.name);
        say(&what);
        let at_length = scale.at_length();
        let mut site = Site::start(database, &at_length).await?;
        let running = load::run(&mut site, &at_length, *cell_time, false);
        match tokio::time::timeout(at_length.patience(), running).await {
            Ok(Ok((_, loaded))) => measured.at_length = Some(loaded),
            Ok(Err(error)) => notes.push(format!("{what}: {error:#}")),
            Err(_) => notes.push(format!("{what}: it did not keep up with the measurement")),
        }
    }
    if parts.contains(&Part::Sizes) {
        let what = format!("{}, sizes", measured.name);
        say(&what);
        let mut site = Site::start(database, scale).await?;
        match tokio::time::timeout(SIZES_PATIENCE, sizes::run(&mut site, scale)).await {
            Ok(Ok(sizes)) => measured.sizes = Some(sizes),
            Ok(Err(error)) => notes.push(format!("{what}: {error:#}")),
            Err(_) => notes.push(format!("{what}: it took too long")),
        }
    }
    Ok(measured)
}

/// What is going on, for whoever waits.
fn say(text: &str) {
    // Whoever waits may have closed it; the table is what counts.
    let _ = writeln!(std::io::stderr(), "bench-coordinator: {text}");
}
