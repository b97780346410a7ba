//! Which network a node paints with: the one that was named, else the cached one, else one that can be fetched
//! quickly, else an untrained one.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::{
    CacheError, FetchError, FetchTimeouts, Network, Source, WeightsError, cached_path, fetch, read,
};

/// The seed of the untrained network that every node without weights paints with, so that they paint alike.
pub const UNTRAINED_SEED: u64 = 1;

/// How long the default may look for weights, over all addresses, before it does without. What has come by then stays,
/// and the next start goes on from there.
const AUTO_DEADLINE: Duration = Duration::from_secs(30);
const AUTO_TIMEOUTS: FetchTimeouts = FetchTimeouts {
    connect: Duration::from_secs(3),
    silence: Duration::from_secs(5),
};

/// What `--weights` says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum WeightsChoice {
    /// The cached file, else a quick fetch, else untrained.
    #[default]
    Auto,
    /// The untrained network.
    Untrained,
    /// This file.
    File(PathBuf),
}

impl FromStr for WeightsChoice {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "auto" => Self::Auto,
            "untrained" => Self::Untrained,
            path => Self::File(path.into()),
        })
    }
}

impl fmt::Display for WeightsChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Untrained => f.write_str("untrained"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// A network, and how it came to be the one.
#[derive(Debug)]
pub struct Chosen {
    /// The network.
    pub network: Network,
    /// Why it is untrained though nobody asked for that, and what to do about it.
    pub notice: Option<String>,
}

/// Why no network could be chosen.
#[derive(Debug, thiserror::Error)]
pub enum ChooseError {
    /// The file that was named, or the cached one, does not work.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// The network that `choice` means; `source` is what the default fetches.
pub async fn choose(choice: &WeightsChoice, source: &Source) -> Result<Chosen, ChooseError> {
    let file = match choice {
        WeightsChoice::Untrained => return Ok(untrained(None)),
        WeightsChoice::File(path) => path.clone(),
        WeightsChoice::Auto => match cached_or_fetched(source).await {
            Ok(path) => path,
            Err(why) => return Ok(untrained(Some(notice(&why)))),
        },
    };
    Ok(Chosen {
        network: Network::Trained(read(&file)?),
        notice: None,
    })
}

/// Why the default found no weights.
#[derive(Debug, thiserror::Error)]
enum NoWeights {
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("fetching the trained ones takes longer than {} s", AUTO_DEADLINE.as_secs())]
    TooSlow,
}

async fn cached_or_fetched(source: &Source) -> Result<PathBuf, NoWeights> {
    let path = cached_path(source)?;
    if !path.exists() {
        tracing::info!(file = source.file_name, "looking for trained weights");
        let mut unwatched = |_| {};
        let fetching = fetch(source, &path, AUTO_TIMEOUTS, &mut unwatched);
        tokio::time::timeout(AUTO_DEADLINE, fetching)
            .await
            .map_err(|_| NoWeights::TooSlow)??;
    }
    Ok(Path::to_owned(&path))
}

fn untrained(notice: Option<String>) -> Chosen {
    Chosen {
        network: Network::Untrained {
            seed: UNTRAINED_SEED,
        },
        notice,
    }
}

/// One line: what happens, and how to have it otherwise.
fn notice(why: &NoWeights) -> String {
    let why = why.to_string();
    let why = why.lines().next().unwrap_or_default();
    format!(
        "painting with the untrained network ({why}); for trained VGG16 run `atelier-node weights fetch` where there \
         is a network, or name a file with --weights"
    )
}
