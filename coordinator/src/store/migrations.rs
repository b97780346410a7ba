//! The tables of each version, in the program itself: every file of `migrations/`, in its order.
//!
//! Named one by one, because sqlx's macro that looks for them needs both drivers, and `SQLite` itself, built once more for the
//! compiler.

use std::sync::LazyLock;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// The name of a file, with its version in front, and what is in it.
type File = (&'static str, &'static str);

macro_rules! files {
    ($folder:literal: $($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../../migrations/", $folder, "/", $name, ".sql")))),+]
    };
}

const SQLITE_FILES: [File; 8] = files!(
    "sqlite":
    "0001_grids_cells_nodes",
    "0002_reconstructions",
    "0003_durable",
    "0004_specs",
    "0005_fleet",
    "0006_identities",
    "0007_webhooks",
    "0008_logs_and_traces",
);
const POSTGRES_FILES: [File; 6] = files!(
    "postgres":
    "0001_grids_cells_nodes",
    "0002_specs",
    "0003_fleet",
    "0004_identities",
    "0005_webhooks",
    "0006_logs_and_traces",
);

pub(super) static SQLITE: LazyLock<Migrator> = LazyLock::new(|| migrator(&SQLITE_FILES));
pub(super) static POSTGRES: LazyLock<Migrator> = LazyLock::new(|| migrator(&POSTGRES_FILES));

/// Databases keep the version and the digest of what they were given, and a description to be read.
fn migrator(files: &[File]) -> Migrator {
    let migrations = files.iter().zip(1..).map(|(&(name, sql), version)| {
        let description = name.trim_start_matches(|it: char| it.is_ascii_digit() || it == '_');
        let description = description.replace('_', " ");
        let kind = MigrationType::Simple;
        Migration::new(version, description.into(), kind, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_is_named_in_the_order_of_its_version() {
        let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        for (folder, named) in [("sqlite", &SQLITE_FILES[..]), ("postgres", &POSTGRES_FILES)] {
            let files = std::fs::read_dir(all.join(folder)).unwrap();
            let paths = files.map(|file| file.unwrap().path());
            let names = paths.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned());
            let mut names: Vec<String> = names.collect();
            names.sort();
            assert_eq!(
                names,
                named.iter().map(|(name, _)| *name).collect::<Vec<_>>()
            );
            for (version, name) in (1..).zip(names) {
                assert!(
                    name.starts_with(&format!("{version:04}_")),
                    "{folder}: {name}"
                );
            }
        }
    }
}
