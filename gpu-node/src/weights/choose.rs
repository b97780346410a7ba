//! Which network a node paints with: the one that was named, else the cached one, else one that can be fetched
//! quickly, else an untrained one.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use atelier_proto::ids::Digest;

use super::stored::read_beside;
use super::{
    CacheError, FetchError, FetchTimeouts, Network, Source, WeightsError, cached_path, fetch,
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
    /// The file with this digest in the coordinator's bucket.
    Stored(Digest),
    /// This file.
    File(PathBuf),
}

/// What a digest in the bucket is written behind.
const STORED_PREFIX: &str = "bucket:";

/// A text that names no weights.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "after {STORED_PREFIX} there must be the SHA-256 digest of weights in the bucket, 64 lower-case hex digits, as \
     `atelier-node weights check FILE` tells it"
)]
pub struct UnknownWeights;

impl FromStr for WeightsChoice {
    type Err = UnknownWeights;

    fn from_str(text: &str) -> Result<Self, UnknownWeights> {
        Ok(match text {
            "auto" => Self::Auto,
            "untrained" => Self::Untrained,
            text => match text.strip_prefix(STORED_PREFIX) {
                Some(digest) => Self::Stored(digest.parse().map_err(|_| UnknownWeights)?),
                None => Self::File(text.into()),
            },
        })
    }
}

impl fmt::Display for WeightsChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Untrained => f.write_str("untrained"),
            Self::Stored(digest) => write!(f, "{STORED_PREFIX}{digest}"),
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
    /// Nobody here knows a bucket.
    #[error(
        "weights of a bucket are for nodes: their coordinator knows where it is\n\
         hint: name a file with --weights, or take `atelier-node run`"
    )]
    NoBucket,
}

/// The network that `choice` means; `source` is what the default fetches.
pub async fn choose(choice: &WeightsChoice, source: &Source) -> Result<Chosen, ChooseError> {
    let file = match choice {
        WeightsChoice::Untrained => return Ok(untrained(None)),
        WeightsChoice::Stored(_) => return Err(ChooseError::NoBucket),
        WeightsChoice::File(path) => path.clone(),
        WeightsChoice::Auto => match cached_or_fetched(source).await {
            Ok(path) => path,
            Err(why) => return Ok(untrained(Some(notice(&why)))),
        },
    };
    Ok(Chosen {
        network: Network::Trained(read_beside(&file).await?),
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
    Ok(path)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn weights_of_a_bucket_are_named_by_their_digest() {
        let digest = Digest::of(b"weights");
        let text = format!("bucket:{digest}");
        let choice: WeightsChoice = text.parse().unwrap();
        assert_eq!(choice, WeightsChoice::Stored(digest));
        assert_eq!(choice.to_string(), text);
        for wrong in [
            "bucket:",
            "bucket:vgg.h5",
            &text[..70],
            &text.to_uppercase()[..],
        ] {
            let parsed = wrong.parse::<WeightsChoice>();
            if wrong.starts_with("bucket:") {
                assert_eq!(parsed, Err(UnknownWeights), "{wrong}");
            } else {
                assert_eq!(parsed, Ok(WeightsChoice::File(wrong.into())));
            }
        }
        let error = choose(&choice, &Source::keras_vgg16()).await.unwrap_err();
        assert!(error.to_string().contains("\nhint: "), "{error}");
    }
}
