//! What operators write of webhooks: a TOML file, checked as a whole when the coordinator starts.
//!
//! ```toml
//! [[webhook]]
//! url = "https://hooks.example.com/atelier"
//! secret_file = "webhook-secret"            # relative to this file; or secret_env = "VARIABLE"
//! events = ["grid.done", "grid.failed"]     # default: all
//! submitters = ["ann"]                      # default: everybody's grids
//! name = "studio"                           # in logs and metrics; default: the URL's host
//! ```

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use url::{Host, Url};

use super::signature::Secret;
use crate::domain::ending::{EndKind, Ending};

/// Largest file of webhooks or of a secret, bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Most webhooks, each of which has a task and connections of its own.
const WEBHOOKS_MAX: usize = 64;
/// Characters of a name.
const NAME_CHARACTERS_MAX: usize = 64;

/// One receiver, and what it wants to hear of.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// What it is called in logs and metrics, and what its deliveries are kept by.
    pub name: String,
    /// Where it is told.
    pub(super) url: SecretUrl,
    /// What deliveries are signed with.
    pub(super) secret: Secret,
    /// What it hears of.
    pub(super) events: BTreeSet<EndKind>,
    /// Whose grids it hears of; `None`: everybody's.
    pub(super) submitters: Option<BTreeSet<String>>,
}

impl Webhook {
    /// Whether it is to be told of an end.
    pub(super) fn wants(&self, ending: &Ending) -> bool {
        let is_theirs = |names: &BTreeSet<String>| names.contains(&ending.submitter);
        self.events.contains(&ending.kind) && self.submitters.as_ref().is_none_or(is_theirs)
    }
}

/// A URL whose path or query may be a secret, as those of chat services are: only its origin is shown.
#[derive(Clone)]
pub(super) struct SecretUrl(Url);

impl SecretUrl {
    pub(super) fn expose(&self) -> Url {
        self.0.clone()
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/…", self.0.origin().ascii_serialization())
    }
}

/// Why a file gives no webhooks.
#[derive(Debug, thiserror::Error)]
pub enum WebhooksError {
    /// It cannot be read.
    #[error("--webhooks: cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is of another form.
    #[error(
        "--webhooks: {} holds no webhooks: {problem}\n\
         hint: a webhook is [[webhook]] with url = \"https://…\" and secret_file = \"…\"", path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// One entry cannot be.
    #[error("--webhooks: {}, webhook {number}: {problem}\nhint: {hint}", path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// The entry's place, from 1.
        number: usize,
        /// What is wrong.
        problem: String,
        /// What to do.
        hint: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    webhook: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: Option<String>,
    url: String,
    secret_file: Option<PathBuf>,
    secret_env: Option<String>,
    events: Option<Vec<EndKind>>,
    submitters: Option<Vec<String>>,
    /// Allows http:// beyond this machine.
    #[serde(default)]
    insecure: bool,
}

/// What is wrong with an entry, and what to do.
type Problem = (String, &'static str);

/// Reads a file of webhooks, and their secrets where it says that they are.
///
/// # Errors
/// When a file cannot be read, or an entry cannot be; the first one that is wrong is named.
pub fn load(
    path: &Path,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Vec<Webhook>, WebhooksError> {
    let text = read(path).map_err(|source| WebhooksError::Read {
        path: path.to_owned(),
        source,
    })?;
    of_text(path, &text, variable)
}

/// Reads the text of a file that is called so.
fn of_text(
    path: &Path,
    text: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Vec<Webhook>, WebhooksError> {
    let malformed = |problem| WebhooksError::Malformed {
        path: path.to_owned(),
        problem,
    };
    let document: Document =
        toml::from_str(text).map_err(|error| malformed(problem(text, &error)))?;
    if document.webhook.is_empty() {
        return Err(malformed("there is no [[webhook]] in it".to_owned()));
    }
    if document.webhook.len() > WEBHOOKS_MAX {
        return Err(malformed(format!("there are more than {WEBHOOKS_MAX}")));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut webhooks: Vec<Webhook> = Vec::new();
    for (index, entry) in document.webhook.into_iter().enumerate() {
        let checked = check(entry, folder, &variable).and_then(|webhook| {
            let is_taken = webhooks.iter().any(|other| other.name == webhook.name);
            if is_taken {
                let problem = format!("another one is called {:?}, too", webhook.name);
                return Err((
                    problem,
                    "give each a name of its own, as in name = \"studio\"",
                ));
            }
            Ok(webhook)
        });
        webhooks.push(checked.map_err(|(problem, hint)| WebhooksError::Entry {
            path: path.to_owned(),
            number: index + 1,
            problem,
            hint,
        })?);
    }
    Ok(webhooks)
}

/// What is wrong, and in which line; not the line itself, where somebody may have put a secret.
fn problem(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    match before {
        Some(before) => {
            let line = before.matches('\n').count() + 1;
            format!("line {line}: {}", error.message())
        }
        None => error.message().to_owned(),
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    if std::fs::metadata(path)?.len() > FILE_BYTES_MAX {
        return Err(std::io::Error::other("it is larger than 1 MiB"));
    }
    std::fs::read_to_string(path)
}

fn check(
    entry: Entry,
    folder: &Path,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Webhook, Problem> {
    let (url, host) = url(&entry)?;
    let name = entry.name.clone().unwrap_or(host);
    if name.is_empty()
        || name.chars().count() > NAME_CHARACTERS_MAX
        || name.chars().any(char::is_control)
    {
        let problem = format!("{name:?} is no name");
        return Err((problem, "a name has 1 to 64 characters"));
    }
    let some = |list: Option<usize>, what| match list {
        Some(0) => Err((
            format!("{what} is empty, so it would hear of nothing"),
            "leave it out to hear of all",
        )),
        Some(_) | None => Ok(()),
    };
    some(entry.events.as_ref().map(Vec::len), "events")?;
    some(entry.submitters.as_ref().map(Vec::len), "submitters")?;
    Ok(Webhook {
        secret: secret(&entry, folder, variable)?,
        name,
        url: SecretUrl(url),
        events: match entry.events {
            Some(events) => events.into_iter().collect(),
            None => EndKind::ALL.into(),
        },
        submitters: entry.submitters.map(|names| names.into_iter().collect()),
    })
}

/// The URL of an entry, and its host with the port that it names.
fn url(entry: &Entry) -> Result<(Url, String), Problem> {
    let wrong = |problem: &str| {
        // The rest of a URL may be a secret.
        let shown: String = entry.url.chars().take(8).collect();
        let problem = format!("the url {shown:?}… {problem}");
        (
            problem,
            "write it as in url = \"https://hooks.example.com/atelier\"",
        )
    };
    let url = Url::parse(&entry.url).map_err(|error| wrong(&format!("is none: {error}")))?;
    let Some(host) = url.host() else {
        return Err(wrong("names no host"));
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("holds a user or a password, which are not sent"));
    }
    let is_local = match &host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => IpAddr::from(*address).is_loopback(),
        Host::Ipv6(address) => IpAddr::from(*address).is_loopback(),
    };
    match url.scheme() {
        "https" => {}
        "http" if is_local || entry.insecure => {}
        "http" => {
            let problem = format!("{host} is told without TLS, so that others can read it");
            return Err((
                problem,
                "use https://, or say insecure = true in a network that you trust",
            ));
        }
        _ => return Err(wrong("is neither https:// nor http://")),
    }
    let named = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_string(),
    };
    Ok((url, named))
}

fn secret(
    entry: &Entry,
    folder: &Path,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Secret, Problem> {
    const MAKE_ONE: &str = "make one with: echo whsec_$(openssl rand -base64 32)";
    let (text, place) = match (&entry.secret_file, &entry.secret_env) {
        (Some(file), None) => {
            let path = folder.join(file);
            let place = format!("the secret in {}", path.display());
            let text = read(&path).map_err(|error| (format!("{place}: {error}"), MAKE_ONE))?;
            (text, place)
        }
        (None, Some(name)) => {
            let place = format!("the secret in the variable {name}");
            let text =
                variable(name).ok_or_else(|| (format!("{place}: it is not set"), MAKE_ONE))?;
            (text, place)
        }
        (None, None) => {
            let problem = "nothing says where its secret is".to_owned();
            return Err((
                problem,
                "write secret_file = \"FILE\" or secret_env = \"VARIABLE\"",
            ));
        }
        (Some(_), Some(_)) => {
            let problem = "secret_file and secret_env both say where its secret is".to_owned();
            return Err((problem, "leave one out"));
        }
    };
    Secret::parse(&text).map_err(|problem| (format!("{place}: {problem}"), MAKE_ONE))
}

#[cfg(test)]
mod tests;
