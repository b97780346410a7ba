//! `atelier-node weights fetch`, `weights check` and `weights export`.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use serde_json::json;

use super::{CommandError, say};
use crate::cli::WeightsCommand;
use crate::render::{self, RenderError};
use crate::weights::{self, FetchTimeouts, Source, VggWeights};

pub(super) async fn weights(command: WeightsCommand) -> Result<(), CommandError> {
    match command {
        WeightsCommand::Fetch { url } => fetch(url).await,
        WeightsCommand::Check { file, json } => check(&file, json),
        WeightsCommand::Export {
            untrained: _,
            seed,
            file,
        } => export(seed, &file),
    }
}

async fn fetch(url: Option<String>) -> Result<(), CommandError> {
    let mut source = Source::keras_vgg16();
    if let Some(url) = url {
        source.urls = vec![url];
    }
    let path = weights::cached_path(&source)?;
    let watched = std::io::stderr().is_terminal();
    let total = source.bytes;
    let mut progress = |bytes: u64| {
        if watched {
            // A progress line that cannot be written is not missed.
            let _ = write!(
                std::io::stderr(),
                "\r{:>3} % of {} MB",
                bytes * 100 / total,
                total / 1_000_000
            );
        }
    };
    let fetched = weights::fetch(&source, &path, FetchTimeouts::PATIENT, &mut progress).await;
    if watched {
        let _ = writeln!(std::io::stderr());
    }
    fetched?;
    say(&path.display().to_string())
}

fn check(file: &Path, json: bool) -> Result<(), CommandError> {
    let weights = weights::read(file)?;
    if json {
        say(&in_json(&weights))
    } else {
        say(&in_words(&weights))
    }
}

fn export(seed: u64, file: &Path) -> Result<(), CommandError> {
    let weights = render::calibrated(seed).map_err(RenderError::from)?;
    weights::export(&weights, file)?;
    say(&file.display().to_string())
}

fn in_words(weights: &VggWeights) -> String {
    let deepest = weights.convolutions.last().map(|last| last.layer);
    let missing = weights
        .architecture
        .layers()
        .skip(weights.convolutions.len())
        .map(|layer| layer.to_string());
    let missing: Vec<String> = missing.collect();
    let mut lines = format!(
        "{}, {} convolutions, down to {}\nsha256:{}",
        weights.architecture,
        weights.convolutions.len(),
        deepest.map_or_else(String::new, |layer| layer.to_string()),
        weights.digest
    );
    if !missing.is_empty() {
        lines += "\nit ends early: no ";
        lines += &missing.join(", ");
    }
    lines
}

fn in_json(weights: &VggWeights) -> String {
    let layers: Vec<String> = weights
        .convolutions
        .iter()
        .map(|convolution| convolution.layer.to_string())
        .collect();
    json!({
        "architecture": weights.architecture.to_string(),
        "layers": layers,
        "sha256": weights.digest.to_string(),
        "mean": weights.mean,
        "deviation": weights.deviation,
    })
    .to_string()
}
