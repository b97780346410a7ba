//! Fields of any message: ids, ranges and pages.

use atelier_proto::ids::{CellId, GridId, MalformedId, NodeId};

use crate::domain::field::{InvalidField, Problem};

/// Entries of a page if the caller does not say, and the most that it may say.
const PAGE_ENTRIES: u32 = 100;
pub(crate) const PAGE_ENTRIES_MAX: u32 = 1_000;

pub(super) type Parsed<T> = Result<T, InvalidField>;

pub(super) fn id<T>(field: &str, text: &str) -> Parsed<T>
where
    T: std::str::FromStr<Err = MalformedId>,
{
    text.parse()
        .map_err(|error| InvalidField::new(field, Problem::Id(error)))
}

/// A field that is not there.
pub(crate) fn missing(field: &str) -> InvalidField {
    InvalidField::new(field, Problem::Missing)
}

pub(super) fn required<T>(field: &str, value: Option<T>) -> Parsed<T> {
    value.ok_or_else(|| missing(field))
}

pub(super) fn in_range(
    field: &str,
    allowed: bool,
    value: impl std::fmt::Display,
    range: &'static str,
) -> Parsed<()> {
    if allowed {
        Ok(())
    } else {
        Err(out_of_range(field, value, range))
    }
}

/// A field that is not what it must be, which is told in words.
pub(super) fn out_of_range(
    field: &str,
    value: impl std::fmt::Display,
    range: &'static str,
) -> InvalidField {
    let value = value.to_string();
    InvalidField::new(field, Problem::OutOfRange { value, range })
}

/// A text of the wire that may have so many bytes.
pub(super) fn check_bytes(field: &str, text: &str, most: usize) -> Parsed<()> {
    if text.len() <= most {
        return Ok(());
    }
    let (chars, least) = (text.len(), 0);
    let problem = Problem::Length { chars, least, most };
    Err(InvalidField::new(field, problem))
}

/// A cell's id.
pub(crate) fn cell_id(wire: &str) -> Parsed<CellId> {
    id("cell_id", wire)
}

/// A grid's id.
pub(crate) fn grid_id(text: &str) -> Parsed<GridId> {
    id("grid_id", text)
}

/// A node's id.
pub(crate) fn node_id(text: &str) -> Parsed<NodeId> {
    id("node_id", text)
}

/// A page of a list.
#[derive(Debug)]
pub(crate) struct Page<T> {
    /// Entries of it.
    pub(crate) entries: u32,
    /// What it starts before.
    pub(crate) before: Option<T>,
}

/// A page, and where it starts.
pub(crate) fn page<T>(page_size: u32, page_token: &str) -> Parsed<Page<T>>
where
    T: std::str::FromStr<Err = MalformedId>,
{
    let entries = match page_size {
        0 => PAGE_ENTRIES,
        entries => entries,
    };
    in_range(
        "page_size",
        entries <= PAGE_ENTRIES_MAX,
        entries,
        "from 1 to 1000, or 0 for 100",
    )?;
    let before = match page_token {
        "" => None,
        token => Some(id("page_token", token)?),
    };
    Ok(Page { entries, before })
}

impl<T> Page<T> {
    /// How many entries are read: one more than asked for tells whether there is a further page.
    pub(crate) fn read_max(&self) -> u32 {
        self.entries + 1
    }

    /// Cuts off what is for the next page, and gives the token of that; empty: there is none.
    pub(crate) fn cut<E, I: ToString>(
        &self,
        read: &mut Vec<E>,
        id: impl FnOnce(&E) -> I,
    ) -> String {
        let has_more = read.len() > self.entries as usize;
        read.truncate(self.entries as usize);
        let last = read.last().filter(|_| has_more);
        last.map(|last| id(last).to_string()).unwrap_or_default()
    }
}
