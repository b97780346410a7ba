//! Profiles: names for ateliers, in a file of the user's. Nothing in it is secret.
//!
//! `atelier cloud up` writes one of its stack's name; others are for people to write:
//!
//! ```toml
//! [profiles.studio]
//! coordinators = ["https://atelier.example.com"]
//! ca = "studio/ca.pem"                # relative to this file, as the others are
//! cert = "studio/ann.pem"
//! key = "studio/ann-key.pem"
//! token_file = "studio/token"         # instead of cert and key
//! ```

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::Deserialize;
use toml_edit::{Array, DocumentMut, Item, Table};

use crate::exit::Exit;
use crate::text::printable;

/// Largest file of profiles, bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// An atelier that has a name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// URLs of its coordinators, at least one.
    pub coordinators: Vec<String>,
    /// The AWS region of the stack of the same name.
    #[serde(default)]
    pub region: Option<String>,
    /// PEM file of authorities that are trusted there.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// PEM file of the certificate to show there.
    #[serde(default)]
    pub cert: Option<PathBuf>,
    /// PEM file of its key.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// File of the token to show there.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
}

impl Profile {
    fn table(&self) -> Table {
        let mut table = Table::new();
        let urls: Array = self.coordinators.iter().map(String::as_str).collect();
        table["coordinators"] = toml_edit::value(urls);
        let files = [
            ("ca", &self.ca),
            ("cert", &self.cert),
            ("key", &self.key),
            ("token_file", &self.token_file),
        ];
        let files = files.map(|(name, file)| {
            // What was read from a file of text is text.
            let file = file.as_deref().map(Path::to_string_lossy);
            (name, file.map(String::from))
        });
        let texts = std::iter::once(("region", self.region.clone())).chain(files);
        for (name, text) in texts {
            if let Some(text) = text {
                table[name] = toml_edit::value(text);
            }
        }
        table
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    profiles: BTreeMap<String, Profile>,
}

/// Why there is no such profile, or none can be kept.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// This user has no folder for configuration.
    #[error(
        "cannot find your folder for configuration\nhint: set HOME, or XDG_CONFIG_HOME to a folder"
    )]
    NoConfigFolder,
    /// There is none of this name.
    #[error(
        "there is no profile `{}` in {}\nhint: {}",
        printable(name), path.display(), hint(known)
    )]
    Unknown {
        /// As it was given.
        name: String,
        /// The file.
        path: PathBuf,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The file cannot be read.
    #[error("cannot read profiles from {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It holds something else.
    #[error(
        "{} holds no profiles: {problem}\n\
         hint: a profile is [profiles.NAME] with coordinators = [\"https://HOST\"]", path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The file cannot be written.
    #[error("cannot write profiles to {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl ProfileError {
    /// The exit code that tells scripts of it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Unknown { .. } => Exit::NotFound,
            Self::NoConfigFolder | Self::Read { .. } | Self::Malformed { .. } => Exit::BadInput,
            Self::Write { .. } => Exit::CannotWrite,
        }
    }
}

fn hint(known: &[String]) -> String {
    if known.is_empty() {
        "there are none; `atelier cloud up` writes one".to_owned()
    } else {
        format!("there are: {}", printable(&known.join(", ")))
    }
}

/// The file of profiles.
#[derive(Debug, Clone)]
pub struct Profiles {
    path: PathBuf,
}

impl Profiles {
    /// The user's: `atelier/profiles.toml` in the folder for configuration.
    pub fn of_user() -> Result<Self, ProfileError> {
        let folder = dirs::config_dir().ok_or(ProfileError::NoConfigFolder)?;
        Ok(Self::at(folder.join("atelier").join("profiles.toml")))
    }

    /// Those in this file, which need not be there.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where they are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a file is that a profile names.
    pub fn file(&self, named: &Path) -> PathBuf {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        folder.join(named)
    }

    /// The profile of this name, which must be there.
    pub fn named(&self, name: &str) -> Result<Profile, ProfileError> {
        let mut profiles = self.all()?;
        profiles.remove(name).ok_or_else(|| ProfileError::Unknown {
            name: name.to_owned(),
            path: self.path.clone(),
            known: profiles.into_keys().collect(),
        })
    }

    /// All of them, by name.
    pub fn all(&self) -> Result<BTreeMap<String, Profile>, ProfileError> {
        let document: Document =
            toml::from_str(&self.text()?).map_err(|error| self.malformed(&error))?;
        for (name, profile) in &document.profiles {
            if profile.coordinators.is_empty() {
                let problem = format!("profiles.{name}.coordinators names none");
                return Err(self.malformed(&problem));
            }
        }
        Ok(document.profiles)
    }

    /// Keeps a profile under this name; the one before it, if there was another.
    pub fn put(&self, name: &str, profile: &Profile) -> Result<Option<Profile>, ProfileError> {
        let mut before = None;
        self.change(|mut profiles, document| {
            before = profiles.remove(name).filter(|before| before != profile);
            let table = profile.table();
            let all = document.entry("profiles").or_insert_with(|| {
                let mut all = Table::new();
                all.set_implicit(true);
                Item::Table(all)
            });
            if let Some(all) = all.as_table_like_mut() {
                all.insert(name, Item::Table(table));
            }
        })?;
        Ok(before)
    }

    /// Forgets a profile, if there is one of this name.
    pub fn remove(&self, name: &str) -> Result<(), ProfileError> {
        if !self.all()?.contains_key(name) {
            return Ok(());
        }
        self.change(|_, document| {
            let all = document.get_mut("profiles");
            if let Some(all) = all.and_then(Item::as_table_like_mut) {
                all.remove(name);
            }
        })
    }

    /// Changes the file: whole or not at all, and after whoever else is at it.
    fn change(
        &self,
        change: impl FnOnce(BTreeMap<String, Profile>, &mut DocumentMut),
    ) -> Result<(), ProfileError> {
        let write = |source| ProfileError::Write {
            path: self.path.clone(),
            source,
        };
        // Where it is a link, what it leads to is written.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(write)?;
        let lock = File::open(folder).map_err(write)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|error| write(error.into()))?;
        let profiles = self.all()?;
        let document = self.text()?.parse();
        let mut document: DocumentMut = document.map_err(|error| self.malformed(&error))?;
        change(profiles, &mut document);
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(write)?;
        file.write_all(document.to_string().as_bytes())
            .and_then(|()| file.as_file().sync_all())
            .map_err(write)?;
        file.persist(&path).map_err(|error| write(error.error))?;
        Ok(())
    }

    fn text(&self) -> Result<String, ProfileError> {
        let read = |source| ProfileError::Read {
            path: self.path.clone(),
            source,
        };
        match fs::metadata(&self.path) {
            Ok(about) if about.len() > FILE_BYTES_MAX => {
                Err(self.malformed(&"it is larger than 1 MiB"))
            }
            Ok(_) => fs::read_to_string(&self.path).map_err(read),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(read(error)),
        }
    }

    fn malformed(&self, problem: &impl ToString) -> ProfileError {
        ProfileError::Malformed {
            path: self.path.clone(),
            problem: problem.to_string().trim_end().to_owned(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What a fuzzer begins with.
    pub(crate) fn seeds() -> impl Iterator<Item = (String, Vec<u8>)> {
        let seeds = [
            (
                "two",
                "# ours\n[profiles.\"the lab\"]\ncoordinators = [\"http://b:1\", \"http://c:1\"] # two\n\n\
                     [profiles.studio]\ncoordinators = [\"https://a\"]\nregion = \"eu-central-1\"\n",
            ),
            (
                "inline",
                "profiles = { studio = { coordinators = [\"https://a\"] } }\n",
            ),
            ("dotted", "profiles.studio.coordinators = [\"https://a\"]\n"),
            ("none", "profiles = {}\n"),
        ];
        seeds
            .into_iter()
            .map(|(name, seed)| (name.to_owned(), seed.into()))
    }

    fn profile(url: &str) -> Profile {
        Profile {
            coordinators: vec![url.to_owned()],
            ..Profile::default()
        }
    }

    #[test]
    fn profiles_come_and_go_and_what_people_wrote_stays() {
        let folder = tempfile::tempdir().unwrap();
        let profiles = Profiles::at(folder.path().join("atelier/profiles.toml"));
        let unknown = profiles.named("studio").unwrap_err();
        assert!(unknown.to_string().contains("there are none"), "{unknown}");
        profiles.remove("studio").unwrap();

        let studio = Profile {
            region: Some("eu-central-1".to_owned()),
            ca: Some("studio/ca.pem".into()),
            token_file: Some("/run/secrets/token".into()),
            ..profile("https://a")
        };
        assert_eq!(profiles.put("studio", &studio).unwrap(), None);
        assert_eq!(profiles.named("studio").unwrap(), studio);
        let beside = |named: &str| profiles.file(Path::new(named));
        assert_eq!(
            beside("studio/ca.pem"),
            folder.path().join("atelier/studio/ca.pem")
        );
        assert_eq!(
            beside("/run/secrets/token"),
            Path::new("/run/secrets/token")
        );
        let theirs = "# ours\n[profiles.\"the lab\"]\ncoordinators = [\"http://b:1\", \"http://c:1\"] # two\n\n";
        let written = fs::read_to_string(profiles.path()).unwrap();
        fs::write(profiles.path(), format!("{theirs}{written}")).unwrap();
        let before = profiles.put("studio", &profile("https://d")).unwrap();
        assert_eq!(before, Some(studio));
        let text = fs::read_to_string(profiles.path()).unwrap();
        insta::assert_snapshot!("profiles", text);
        let unknown = profiles.named("studoi").unwrap_err();
        assert_eq!(unknown.exit(), Exit::NotFound);
        assert!(
            unknown.to_string().ends_with("there are: studio, the lab"),
            "{unknown}"
        );
        profiles.remove("studio").unwrap();
        assert_eq!(
            profiles.all().unwrap().into_keys().collect::<Vec<_>>(),
            ["the lab"]
        );
        let text = fs::read_to_string(profiles.path()).unwrap();
        assert!(text.starts_with(theirs.trim_end()), "{text}");
    }

    #[test]
    fn what_is_no_profile_is_refused_and_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let profiles = Profiles::at(folder.path().join("profiles.toml"));
        for wrong in [
            "[profiles.studio]\ncoordinator = \"http://a\"\n",
            "[profiles.studio]\ncoordinators = []\n",
            "[profiles.studio]\ncoordinators = [\"http://a\"]\npassword = \"hunter2\"\n",
            "[profile.studio]\ncoordinators = [\"http://a\"]\n",
            "profiles = 3\n",
            "[profiles.studio",
        ] {
            fs::write(profiles.path(), wrong).unwrap();
            let error = profiles.put("lab", &profile("http://b")).unwrap_err();
            let text = error.to_string();
            assert_eq!(error.exit(), Exit::BadInput, "{text}");
            assert!(
                text.contains("profiles.toml") && text.contains("hint:"),
                "{text}"
            );
            assert_eq!(fs::read_to_string(profiles.path()).unwrap(), wrong);
        }
    }
}
