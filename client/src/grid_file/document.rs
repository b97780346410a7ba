//! TOML with its places: values by type, and errors by line.

use std::io::{self, Read as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use atelier_proto::settings::SettingsError;
use atelier_proto::suggest::did_you_mean;
use serde::de::{DeserializeOwned, IntoDeserializer as _};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::sources::SourceError;

/// A grid file is written by hand; one of this size is something else.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// A value and its place.
pub(super) type Value<'a> = Spanned<DeValue<'a>>;
/// A key and its place.
type Key<'a> = Spanned<std::borrow::Cow<'a, str>>;

/// A text and its place.
pub(super) type Text = (String, Range<usize>);

/// Why a grid file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GridFileError {
    /// It cannot be read.
    #[error(
        "cannot read the grid file {}: {source}\n\
         hint: a grid file is a .toml; photos are said with --photos, and artists with --artists",
        path.display()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is far larger than a person writes.
    #[error("{} is no grid file: it is larger than {FILE_BYTES_MAX} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Something in it is wrong.
    #[error("{}:{line}: {problem}", path.display())]
    At {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        problem: Box<Problem>,
    },
}

/// What is wrong at some line of a grid file.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It is not TOML.
    #[error("{0}\nhint: a grid file is TOML: key = \"text\", key = [\"list\"], [table]")]
    Syntax(String),
    /// A key that means nothing here.
    #[error("unknown key `{key}`; {}", did_you_mean(key, known.iter().copied()))]
    UnknownKey {
        /// What was written.
        key: String,
        /// What means something here.
        known: Vec<&'static str>,
    },
    /// A value of another type.
    #[error("`{key}` must be {wanted}, not {found}")]
    WrongType {
        /// The key.
        key: String,
        /// What it takes.
        wanted: &'static str,
        /// What it was given.
        found: &'static str,
    },
    /// A value that cannot be read.
    #[error("`{key}`: {problem}")]
    Value {
        /// The key.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A key that has to be there.
    #[error("`{key}` is missing\nhint: say {example}")]
    Missing {
        /// The key.
        key: &'static str,
        /// How it may look.
        example: &'static str,
    },
    /// A list with nothing in it, so that the grid would have no cells.
    #[error("`{key}` is empty, so the grid has no cells")]
    Empty {
        /// The key.
        key: String,
    },
    /// Not one weight or mask for each entry of `paintings`.
    #[error("`{key}` has {entries} entries, but `paintings` has {paintings}")]
    PaintingCount {
        /// `weights` or `masks`.
        key: &'static str,
        /// Entries that it has.
        entries: usize,
        /// Entries of `paintings`.
        paintings: usize,
    },
    /// A weight out of its range.
    #[error("a weight is {weight}, but must be above 0 and at most 1e9")]
    Weight {
        /// The weight.
        weight: f64,
    },
    /// A render setting.
    #[error(transparent)]
    Setting(SettingsError),
    /// A file that is not there.
    #[error(transparent)]
    Source(SourceError),
}

/// The text of a grid file.
pub(super) fn text(path: &Path) -> Result<String, GridFileError> {
    let read = || {
        let mut text = String::new();
        let file = std::fs::File::open(path)?;
        file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
        Ok(text)
    };
    let text = read().map_err(|source| GridFileError::Read {
        path: path.to_owned(),
        source,
    })?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(GridFileError::TooLarge {
            path: path.to_owned(),
        });
    }
    Ok(text)
}

/// A grid file's text and name, so that errors can say where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Document<'a> {
    path: &'a Path,
    text: &'a str,
}

impl<'a> Document<'a> {
    pub(super) fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text }
    }

    pub(super) fn parse(self) -> Result<Spanned<DeTable<'a>>, GridFileError> {
        DeTable::parse(self.text).map_err(|error| {
            let place = error.span().unwrap_or(0..0);
            self.at(&place, Problem::Syntax(error.message().trim().to_owned()))
        })
    }

    pub(super) fn at(self, place: &Range<usize>, problem: Problem) -> GridFileError {
        GridFileError::At {
            path: self.path.to_owned(),
            line: self.line(place),
            problem: Box::new(problem),
        }
    }

    /// File and line, as errors and editors write them.
    pub(super) fn place(self, place: &Range<usize>) -> String {
        format!("{}:{}", self.path.display(), self.line(place))
    }

    fn line(self, place: &Range<usize>) -> usize {
        let before = self.text.as_bytes().iter().take(place.start);
        1 + before.filter(|byte| **byte == b'\n').count()
    }
}

/// A table of a grid file.
pub(super) struct Table<'a> {
    pub(super) document: Document<'a>,
    entries: &'a DeTable<'a>,
    pub(super) span: Range<usize>,
}

impl<'a> Table<'a> {
    pub(super) fn new(
        document: Document<'a>,
        entries: &'a DeTable<'a>,
        span: Range<usize>,
    ) -> Self {
        Self {
            document,
            entries,
            span,
        }
    }

    /// Its entries in the order of the file.
    pub(super) fn entries(&self) -> Vec<(&'a Key<'a>, &'a Value<'a>)> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        entries
    }

    /// Refuses keys that mean nothing here.
    pub(super) fn check_keys(&self, known: &[&'static str]) -> Result<(), GridFileError> {
        for (key, _) in self.entries() {
            if !known.contains(&key.get_ref().as_ref()) {
                let problem = Problem::UnknownKey {
                    key: key.get_ref().chars().take(80).collect(),
                    known: known.to_vec(),
                };
                return Err(self.document.at(&key.span(), problem));
            }
        }
        Ok(())
    }

    pub(super) fn value(&self, key: &str) -> Option<&'a Value<'a>> {
        self.entries.get(key)
    }

    pub(super) fn string(&self, key: &str) -> Result<Option<String>, GridFileError> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        match value.get_ref().as_str() {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(self.wrong_type(key, "text in quotes", value)),
        }
    }

    pub(super) fn boolean(&self, key: &str) -> Result<Option<bool>, GridFileError> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        match value.get_ref().as_bool() {
            Some(truth) => Ok(Some(truth)),
            None => Err(self.wrong_type(key, "true or false", value)),
        }
    }

    /// A text that has to be there, with its place.
    pub(super) fn required_string(
        &self,
        key: &'static str,
        example: &'static str,
    ) -> Result<Text, GridFileError> {
        match (self.string(key)?, self.value(key)) {
            (Some(text), Some(value)) => Ok((text, value.span())),
            _ => Err(self.missing(key, example)),
        }
    }

    /// A key that has to be there is not.
    pub(super) fn missing(&self, key: &'static str, example: &'static str) -> GridFileError {
        self.document
            .at(&self.span, Problem::Missing { key, example })
    }

    /// A list of texts, each with its place; at least one. A single text stands for a list of one.
    pub(super) fn strings(&self, key: &'static str) -> Result<Option<Vec<Text>>, GridFileError> {
        const WANTED: &str = "a list of texts, as in [\"photos/*.jpg\"]";
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        if let Some(text) = value.get_ref().as_str() {
            return Ok(Some(vec![(text.to_owned(), value.span())]));
        }
        let Some(list) = value.get_ref().as_array() else {
            return Err(self.wrong_type(key, WANTED, value));
        };
        if list.is_empty() {
            let problem = Problem::Empty {
                key: key.to_owned(),
            };
            return Err(self.document.at(&value.span(), problem));
        }
        let texts = list.iter().map(|entry| match entry.get_ref().as_str() {
            Some(text) => Ok((text.to_owned(), entry.span())),
            None => Err(self.wrong_type(key, WANTED, entry)),
        });
        texts.collect::<Result<_, _>>().map(Some)
    }

    pub(super) fn table(&self, key: &str) -> Result<Option<Table<'a>>, GridFileError> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        match value.get_ref().as_table() {
            Some(table) => Ok(Some(Table::new(self.document, table, value.span()))),
            None => Err(self.wrong_type(key, "a table", value)),
        }
    }

    /// The tables of a list, `[[key]]` each; none if it is not there.
    pub(super) fn tables(&self, key: &'static str) -> Result<Vec<Table<'a>>, GridFileError> {
        let Some(value) = self.value(key) else {
            return Ok(Vec::new());
        };
        let wanted = match key {
            "photo" => "a list of tables: write [[photo]] for each",
            _ => "a list of tables: write [[artist]] for each",
        };
        let Some(list) = value.get_ref().as_array() else {
            return Err(self.wrong_type(key, wanted, value));
        };
        list.iter()
            .map(|entry| match entry.get_ref().as_table() {
                Some(table) => Ok(Table::new(self.document, table, entry.span())),
                None => Err(self.wrong_type(key, wanted, entry)),
            })
            .collect()
    }

    pub(super) fn wrong_type(
        &self,
        key: &str,
        wanted: &'static str,
        value: &Value<'_>,
    ) -> GridFileError {
        let problem = Problem::WrongType {
            key: key.to_owned(),
            wanted,
            found: value.get_ref().type_str(),
        };
        self.document.at(&value.span(), problem)
    }
}

/// A value as a type of ours, or what is wrong with it.
pub(super) fn deserialized<T: DeserializeOwned>(value: &Value<'_>) -> Result<T, String> {
    T::deserialize(value.clone().into_deserializer())
        .map_err(|error| error.message().trim().to_owned())
}

/// A value as people would say it: texts without their quotes, lists with commas.
pub(super) fn written(value: &Value<'_>) -> String {
    match value.get_ref() {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(list) => {
            let entries: Vec<String> = list.iter().map(written).collect();
            entries.join(",")
        }
        DeValue::Table(table) => {
            let entry = |(key, value): (&Key<'_>, &Value<'_>)| {
                format!("{}:{}", key.get_ref(), written(value))
            };
            let entries: Vec<String> = table.iter().map(entry).collect();
            entries.join(",")
        }
    }
}
