//! Looks at an atelier from here: coordinators, their bucket, nodes, and what this machine has for one of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use atelier_gallery::bucket::BucketError;
use atelier_gallery::keys::input_key;
use atelier_gallery::signed::{Content, Method, Sign as _, SignedRequest};
use atelier_proto::clock::{Clock, Stopwatch};
use atelier_proto::ids::Digest;
use atelier_proto::version;
use jiff::{SignedDuration, Timestamp};
use rustix::fs::statvfs;
use secrecy::ExposeSecret as _;

use super::{Answer, BucketFacts, CoordinatorFacts, Facts, LocalFacts, certificate};
use crate::coordinator::view::FleetView;
use crate::coordinator::{Coordinator, RpcError};
use crate::error::Error;
use crate::local;
use crate::printer::full_text;

/// How long the bucket may take for a few bytes.
const BUCKET_TIMEOUT: Duration = Duration::from_secs(20);
/// What is put into the bucket as inputs are, and read again. It always is the same, so that it lies there once, as an input
/// that no grid names.
const PROBE: &[u8] = b"atelier doctor was here\n";

/// Looks at these coordinators, what is behind them, and this machine.
///
/// # Errors
/// When a URL is none; all else that is wrong is among the facts.
pub async fn look(all: &Coordinator, profile: Option<String>) -> Result<Facts, RpcError> {
    let mut coordinators = Vec::new();
    let mut answering: Option<(Coordinator, FleetView)> = None;
    for (url, coordinator) in all.each()? {
        let (certificate, examined) =
            tokio::join!(certificate::shown_at(&url), examine(&coordinator));
        let answer = match examined {
            Ok((answer, fleet)) => {
                answering.get_or_insert((coordinator, fleet));
                Ok(answer)
            }
            Err(error) => Err(full_text(&error)),
        };
        coordinators.push(CoordinatorFacts {
            url,
            certificate,
            answer,
        });
    }
    let (mut fleet, mut nodes, mut bucket) = (None, None, None);
    if let Some((coordinator, described)) = answering {
        let (listed, probed) = tokio::join!(coordinator.nodes(false), probe(&coordinator));
        nodes = Some(listed.map_err(|error| full_text(&error)));
        bucket = Some(probed);
        fleet = Some(described);
    }
    Ok(Facts {
        now: Clock::system().now(),
        version: version::VERSION.to_owned(),
        profile,
        coordinators,
        fleet,
        nodes,
        bucket,
        local: this_machine(),
    })
}

async fn examine(coordinator: &Coordinator) -> Result<(Answer, FleetView), Error> {
    // The first call connects, which would count as a clock that differs.
    coordinator.fleet().await?;
    let (before, round_trip) = (Clock::system().now(), Stopwatch::start());
    let fleet = coordinator.fleet().await?;
    let round_trip = round_trip.elapsed();
    let answer = Answer {
        version: fleet.version.clone(),
        ahead: fleet.now.map(|then| ahead(then, before, round_trip)),
        round_trip,
        is_serving: coordinator.is_serving().await,
    };
    Ok((answer, fleet))
}

/// By how much the clock is ahead that said `then`, somewhere in a round trip that began `before`.
fn ahead(then: Timestamp, before: Timestamp, round_trip: Duration) -> SignedDuration {
    let half = SignedDuration::try_from(round_trip / 2).unwrap_or_default();
    then.duration_since(before).saturating_sub(half)
}

/// Puts a few bytes and looks for them, in the way in which inputs come into the bucket.
async fn probe(coordinator: &Coordinator) -> Result<BucketFacts, String> {
    let took = Stopwatch::start();
    let probing = async {
        let bucket = coordinator.bucket()?;
        bucket.check().await?;
        let digest = Digest::of(PROBE);
        let key = input_key(&digest);
        let content = Content::of_type("application/octet-stream");
        let content = content.of_bytes(digest, PROBE.len() as u64);
        bucket.put_if_absent(&key, PROBE.into(), content).await?;
        let found = bucket.head(&key).await?;
        let round_trip = took.elapsed();
        let whole = [bucket.wanted(Method::Head, "")];
        let signed = coordinator.sign(&whole).await.map_err(BucketError::from)?;
        let facts = BucketFacts {
            endpoint: signed.requests.first().and_then(endpoint),
            name: signed.bucket,
            round_trip,
        };
        Ok::<_, Error>((found.map(|object| object.bytes), facts))
    };
    match tokio::time::timeout(BUCKET_TIMEOUT, probing).await {
        Ok(Ok((Some(bytes), facts))) if bytes == PROBE.len() as u64 => Ok(facts),
        Ok(Ok((_, facts))) => Err(format!("{} has other bytes than were put", facts.name)),
        Ok(Err(error)) => Err(full_text(&error)),
        Err(_) => {
            let seconds = BUCKET_TIMEOUT.as_secs();
            Err(format!(
                "the bucket did not take and give a few bytes within {seconds} s\n\
                 hint: check that its endpoint can be reached from this machine"
            ))
        }
    }
}

/// Where a request goes to.
fn endpoint(request: &SignedRequest) -> Option<String> {
    let url = url::Url::parse(request.url.expose_secret()).ok()?;
    Some(url.origin().ascii_serialization())
}

fn this_machine() -> LocalFacts {
    let data = dirs::data_dir().map(|folder| folder.join("atelier"));
    let missing = |name: &&'static str| local::program(name).is_none();
    LocalFacts {
        missing_programs: ["atelier-coordinator", "atelier-node"]
            .into_iter()
            .filter(missing)
            .collect(),
        weights: dirs::cache_dir()
            .map(|folder| weights_in(&folder.join("atelier").join("weights")))
            .unwrap_or_default(),
        free_bytes: data.as_deref().and_then(free_bytes),
        data,
    }
}

/// Names of weights files in a folder.
fn weights_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_weights = |path: &PathBuf| {
        let extension = path.extension().and_then(|it| it.to_str());
        matches!(extension, Some("h5" | "safetensors"))
    };
    let names = entries.map(|entry| entry.path()).filter(is_weights);
    let mut names: Vec<String> = names
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    names.sort_unstable();
    names
}

/// Bytes that this user may still write into a folder, or where it would be made.
fn free_bytes(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|it| it.is_dir())?;
    let file_system = statvfs(there).ok()?;
    Some(file_system.f_bavail.saturating_mul(file_system.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_round_trip_is_nobodys_fault() {
        let at = |ms: i64| Timestamp::from_millisecond(1_800_000_000_000 + ms).unwrap();
        let trip = Duration::from_millis(200);
        assert_eq!(ahead(at(100), at(0), trip), SignedDuration::ZERO);
        let ahead_by = |ms| SignedDuration::from_millis(ms);
        assert_eq!(ahead(at(5_100), at(0), trip), ahead_by(5_000));
        assert_eq!(ahead(at(-900), at(0), trip), ahead_by(-1_000));
    }

    #[test]
    fn only_whole_weights_count_and_room_is_that_of_the_nearest_folder() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["vgg16.h5", "a.safetensors", "vgg16.h5.part", "notes.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(weights_in(folder.path()), ["a.safetensors", "vgg16.h5"]);
        assert_eq!(weights_in(Path::new("/no/such/folder")), [""; 0]);
        assert!(free_bytes(&folder.path().join("not/yet")).is_some());
    }
}
