//! What readers of others' files and messages must hold, tried on stored inputs and on what becomes of them by chance.
//!
//! `fuzz/` looks for new inputs with coverage to guide it, by hand and for as long as one likes. This runs everywhere and at
//! once: every file of `fuzz/corpus/TARGET/` as it is, and then a fixed number of mutations of it, the same on every machine.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use self::mutation::Mutator;

mod mutation;

/// What a mutation may grow to, bytes.
const INPUT_BYTES_MAX: usize = 64 << 10;
/// How long one input may take. Readers take milliseconds; whoever waits for so long waits for ever.
const INPUT_PATIENCE: Duration = Duration::from_mins(1);

/// Asserts that a target's property holds for its corpus and for `mutations` mutations of each file.
///
/// # Panics
/// When it does not, or takes a minute for one input. The message names the file that it began with and a file in the
/// folder for temporary files that holds the bytes; put beside the others in the corpus, these are tried first from then on.
pub fn hold(target: &str, mutations: usize, property: fn(&[u8])) {
    let files = files(target);
    let contents: Vec<Vec<u8>> = files.iter().map(|(_, content)| content.clone()).collect();
    let running = Arc::new(Mutex::new((String::new(), Vec::new())));
    let (answer, answers) = mpsc::channel();
    let worker = std::thread::spawn({
        let running = running.clone();
        move || {
            let try_out = |origin: String, input: Vec<u8>| {
                *running.lock().unwrap_or_else(PoisonError::into_inner) = (origin, input.clone());
                let held = catch_unwind(AssertUnwindSafe(|| property(&input))).is_ok();
                // Whoever listens has gone only when the test has failed.
                let _ = answer.send(held);
                held
            };
            for (name, content) in &files {
                if !try_out(name.clone(), content.clone()) {
                    return;
                }
            }
            for (index, (name, content)) in files.iter().enumerate() {
                let mut mutator = Mutator::new(index as u64);
                for mutation in 0..mutations {
                    let input = mutator.mutated(content, &contents, INPUT_BYTES_MAX);
                    if !try_out(format!("{name}, mutation {mutation}"), input) {
                        return;
                    }
                }
            }
        }
    });
    let trouble = loop {
        match answers.recv_timeout(INPUT_PATIENCE) {
            Ok(true) => {}
            Ok(false) => break "does not hold",
            Err(RecvTimeoutError::Timeout) => break "has no end",
            Err(RecvTimeoutError::Disconnected) => {
                assert!(worker.join().is_ok(), "the worker of {target} ended early");
                return;
            }
        }
    };
    let (origin, input) = running
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let kept = keep(target, &input);
    panic!(
        "{target} {trouble} for {origin}: these {} bytes are kept in {}\n\
         hint: mend it and move them to fuzz/corpus/{target}/",
        input.len(),
        kept.display()
    );
}

/// Writes those seeds into a target's corpus of whose names there is no file there yet.
///
/// # Panics
/// When they cannot be written.
pub fn write_seeds(target: &str, seeds: impl IntoIterator<Item = (String, Vec<u8>)>) {
    let folder = folder(target);
    let write = || {
        fs::create_dir_all(&folder)?;
        seeds
            .into_iter()
            .filter(|(name, _)| !folder.join(name).exists())
            .try_for_each(|(name, seed)| fs::write(folder.join(name), seed))
    };
    if let Err(error) = write() {
        panic!("cannot write to {}: {error}", folder.display());
    }
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz"))
}

fn folder(target: &str) -> PathBuf {
    root().join("corpus").join(target)
}

/// Names and contents, in the order of the names.
fn files(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = folder(target);
    let read = || -> std::io::Result<Vec<(String, Vec<u8>)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            files.push((name.into_owned(), fs::read(&path)?));
        }
        files.sort();
        Ok(files)
    };
    match read() {
        Ok(files) if !files.is_empty() => files,
        Ok(_) => panic!("{} holds nothing", folder.display()),
        Err(error) => panic!("cannot read {}: {error}", folder.display()),
    }
}

/// Keeps what a property failed on, under a name that is the same the next time.
fn keep(target: &str, input: &[u8]) -> PathBuf {
    let digest = atelier_proto::ids::Digest::of(input).to_string();
    let kept = std::env::temp_dir().join(format!("atelier-{target}-{}", &digest[..16]));
    if let Err(error) = fs::write(&kept, input) {
        panic!("cannot write {}: {error}", kept.display());
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Largest corpus of all targets together, bytes.
    const CORPUS_BYTES_MAX: u64 = 1 << 20;

    /// No file of JSON is, and some of those with numbers at their limits are.
    fn is_broken(bytes: &[u8]) -> bool {
        bytes.windows(2).any(|pair| pair == b"\0\0")
    }

    #[test]
    fn a_property_that_does_not_hold_is_told_with_its_input() {
        let panicked = catch_unwind(|| {
            hold("manifest", 400, |bytes| {
                assert!(!is_broken(bytes), "a planted fault");
            });
        });
        let told = panicked.unwrap_err();
        let told = told.downcast_ref::<String>().unwrap();
        let (_, path) = told.split_once("are kept in ").unwrap();
        let path = Path::new(path.lines().next().unwrap());
        assert!(is_broken(&fs::read(path).unwrap()), "{told}");
        fs::remove_file(path).unwrap();
    }

    /// A target that one of the two ways leaves out would not be missed.
    #[test]
    fn every_target_has_a_program_a_corpus_and_a_test() {
        let names = |folder: &str| -> Vec<String> {
            let entries = fs::read_dir(root().join(folder)).unwrap();
            let paths = entries.map(|entry| entry.unwrap().path());
            let stems = paths.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned());
            let mut names: Vec<String> = stems.collect();
            names.sort();
            names
        };
        let programs = names("fuzz_targets");
        assert_eq!(names("corpus"), programs);
        let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml"))
            .unwrap()
            .parse()
            .unwrap();
        let bins = manifest["bin"].as_array().unwrap().iter();
        let mut bins: Vec<&str> = bins.map(|bin| bin["name"].as_str().unwrap()).collect();
        bins.sort_unstable();
        assert_eq!(bins, programs);
        let crates = ["client", "coordinator", "gallery", "gpu-node"];
        let tests = crates.map(|name| {
            let path = root().join("..").join(name).join("src/fuzzing.rs");
            fs::read_to_string(path).unwrap()
        });
        for name in programs {
            let call = format!("hold(\"{name}\", ");
            assert!(tests.iter().any(|test| test.contains(&call)), "{name}");
        }
    }

    #[test]
    fn the_corpora_stay_small() {
        let mut bytes = 0;
        for target in fs::read_dir(root().join("corpus")).unwrap() {
            for file in fs::read_dir(target.unwrap().path()).unwrap() {
                bytes += file.unwrap().metadata().unwrap().len();
            }
        }
        assert!(bytes <= CORPUS_BYTES_MAX, "{bytes} bytes");
    }
}
