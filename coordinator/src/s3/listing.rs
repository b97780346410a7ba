//! Listings: pages of keys in the order of their UTF-8 bytes, with keys below a delimiter rolled up.
//!
//! Owns paging, tokens and the encoding of names. Reads the index; changes nothing.

use base64::Engine as _;
use s3s::dto::{
    CommonPrefix, ETag, EncodingType, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input,
    ListObjectsV2Output, Object as WireObject, ObjectStorageClass,
};
use s3s::{S3Result, s3_error};

use super::backend::{Backend, wire_time};
use super::fault::Fault;
use super::index::{Index, IndexError, Listed};

/// The most entries of one page, as S3 has it.
pub(super) const PAGE_ENTRIES_MAX: i32 = 1000;

const TOKEN: base64::engine::GeneralPurpose = base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What to list.
#[derive(Debug)]
struct Query {
    prefix: String,
    delimiter: Option<String>,
    /// The first key that may come, in the order of bytes.
    from: Vec<u8>,
    entries_max: usize,
}

/// A line of a listing.
#[derive(Debug)]
enum Entry {
    Object(Listed),
    /// Stands for all keys that begin like this.
    Prefix(String),
}

#[derive(Debug)]
struct Page {
    entries: Vec<Entry>,
    truncated: bool,
}

impl Entry {
    fn name(&self) -> &str {
        match self {
            Self::Object(object) => &object.key,
            Self::Prefix(prefix) => prefix,
        }
    }

    /// Where the listing goes on after this entry.
    fn next(&self) -> Vec<u8> {
        match self {
            Self::Object(object) => after(&object.key),
            Self::Prefix(prefix) => beyond(prefix).unwrap_or_default(),
        }
    }
}

impl Backend {
    pub(super) async fn list_v2(&self, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
        self.check_bucket(&input.bucket)?;
        let max_keys = page_entries(input.max_keys)?;
        let from = match (&input.continuation_token, &input.start_after) {
            (Some(token), _) => parse_token(token)?,
            (None, Some(start)) => after(start),
            (None, None) => Vec::new(),
        };
        let query = Query {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input
                .delimiter
                .clone()
                .filter(|delimiter| !delimiter.is_empty()),
            from,
            entries_max: max_keys as usize,
        };
        let page = page(&self.index, &query).await.map_err(Fault::from)?;
        let last = page.entries.last().map(Entry::next);
        let next = last
            .filter(|_| page.truncated)
            .map(|next| TOKEN.encode(next));
        let names = Names::new(input.encoding_type.as_ref())?;
        let key_count = page.entries.len() as i32;
        let (contents, prefixes) = names.split(page.entries);
        Ok(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(names.write(input.prefix.unwrap_or_default())),
            delimiter: input.delimiter.map(|delimiter| names.write(delimiter)),
            start_after: input.start_after.map(|start| names.write(start)),
            max_keys: Some(max_keys),
            key_count: Some(key_count),
            is_truncated: Some(page.truncated),
            continuation_token: input.continuation_token,
            next_continuation_token: next,
            encoding_type: input.encoding_type,
            contents: Some(contents),
            common_prefixes: Some(prefixes),
            ..ListObjectsV2Output::default()
        })
    }

    pub(super) async fn list_v1(&self, input: ListObjectsInput) -> S3Result<ListObjectsOutput> {
        self.check_bucket(&input.bucket)?;
        let max_keys = page_entries(input.max_keys)?;
        let prefix = input.prefix.clone().unwrap_or_default();
        let delimiter = input
            .delimiter
            .clone()
            .filter(|delimiter| !delimiter.is_empty());
        let from = input.marker.as_deref().map(|marker| {
            // A marker that is a common prefix was the last entry of a page and stands for all keys below it.
            match common_prefix(marker, &prefix, delimiter.as_deref()) {
                Some(rolled) if rolled == marker => beyond(rolled).unwrap_or_default(),
                _ => after(marker),
            }
        });
        let query = Query {
            prefix,
            delimiter,
            from: from.unwrap_or_default(),
            entries_max: max_keys as usize,
        };
        let page = page(&self.index, &query).await.map_err(Fault::from)?;
        let names = Names::new(input.encoding_type.as_ref())?;
        let last = page
            .entries
            .last()
            .map(|entry| names.write(entry.name().to_owned()));
        let next = last.filter(|_| page.truncated);
        let (contents, prefixes) = names.split(page.entries);
        Ok(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: Some(names.write(query.prefix)),
            delimiter: input.delimiter.map(|delimiter| names.write(delimiter)),
            marker: Some(names.write(input.marker.unwrap_or_default())),
            max_keys: Some(max_keys),
            is_truncated: Some(page.truncated),
            next_marker: next,
            encoding_type: input.encoding_type,
            contents: Some(contents),
            common_prefixes: Some(prefixes),
            ..ListObjectsOutput::default()
        })
    }
}

async fn page(index: &Index, query: &Query) -> Result<Page, IndexError> {
    let before = beyond(&query.prefix);
    let mut from = query.from.clone().max(query.prefix.clone().into_bytes());
    let mut page = Page {
        entries: Vec::new(),
        truncated: false,
    };
    if query.entries_max == 0 {
        return Ok(page);
    }
    loop {
        // One more than fits tells whether there is more.
        let rows_max = query.entries_max - page.entries.len() + 1;
        let rows = index
            .scan(&from, before.as_deref(), rows_max as u32)
            .await?;
        let exhausted = rows.len() < rows_max;
        for row in rows {
            if row.key.as_bytes() < from.as_slice() {
                continue;
            }
            if page.entries.len() == query.entries_max {
                page.truncated = true;
                return Ok(page);
            }
            let rolled = common_prefix(&row.key, &query.prefix, query.delimiter.as_deref());
            let entry = match rolled {
                Some(prefix) => Entry::Prefix(prefix.to_owned()),
                None => Entry::Object(row),
            };
            from = entry.next();
            page.entries.push(entry);
        }
        if exhausted {
            return Ok(page);
        }
    }
}

/// The key up to the first delimiter after the prefix, with the delimiter.
fn common_prefix<'a>(key: &'a str, prefix: &str, delimiter: Option<&str>) -> Option<&'a str> {
    let delimiter = delimiter?;
    let rest = key.strip_prefix(prefix)?;
    let at = rest.find(delimiter)?;
    key.get(..prefix.len() + at + delimiter.len())
}

/// The least byte string greater than a key.
fn after(key: &str) -> Vec<u8> {
    let mut next = key.as_bytes().to_vec();
    next.push(0);
    next
}

/// The least byte string greater than everything that begins with a prefix; `None` for the empty one.
pub(super) fn beyond(prefix: &str) -> Option<Vec<u8>> {
    let mut next = prefix.as_bytes().to_vec();
    // UTF-8 has no byte 255, so there is nothing to carry.
    *next.last_mut()? += 1;
    Some(next)
}

fn parse_token(token: &str) -> S3Result<Vec<u8>> {
    TOKEN
        .decode(token)
        .map_err(|_| s3_error!(InvalidArgument, "the continuation token is not ours"))
}

/// How many entries a page may have, given what was asked for.
pub(super) fn page_entries(asked: Option<i32>) -> S3Result<i32> {
    match asked.unwrap_or(PAGE_ENTRIES_MAX) {
        asked @ 0.. => Ok(asked.min(PAGE_ENTRIES_MAX)),
        _ => Err(s3_error!(
            InvalidArgument,
            "a page cannot have a negative number of entries"
        )),
    }
}

/// How names are written: as they are, or percent-encoded because XML cannot hold every character.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names {
    url: bool,
}

impl Names {
    pub(super) fn new(encoding: Option<&EncodingType>) -> S3Result<Self> {
        match encoding.map(EncodingType::as_str) {
            None => Ok(Self { url: false }),
            Some(EncodingType::URL) => Ok(Self { url: true }),
            Some(_) => Err(s3_error!(
                InvalidArgument,
                "the encoding type has to be `url`"
            )),
        }
    }

    pub(super) fn write(self, name: String) -> String {
        use std::fmt::Write as _;
        if !self.url {
            return name;
        }
        let mut encoded = String::with_capacity(name.len());
        for byte in name.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                    encoded.push(char::from(byte));
                }
                _ => {
                    // Writing to a String cannot fail.
                    let _ = write!(encoded, "%{byte:02X}");
                }
            }
        }
        encoded
    }

    fn split(self, entries: Vec<Entry>) -> (Vec<WireObject>, Vec<CommonPrefix>) {
        let (mut contents, mut prefixes) = (Vec::new(), Vec::new());
        for entry in entries {
            match entry {
                Entry::Object(object) => contents.push(WireObject {
                    key: Some(self.write(object.key)),
                    size: Some(object.bytes as i64),
                    e_tag: Some(ETag::Strong(object.etag)),
                    last_modified: Some(wire_time(object.modified)),
                    storage_class: Some(ObjectStorageClass::from_static(
                        ObjectStorageClass::STANDARD,
                    )),
                    ..WireObject::default()
                }),
                Entry::Prefix(prefix) => {
                    prefixes.push(CommonPrefix {
                        prefix: Some(self.write(prefix)),
                    });
                }
            }
        }
        (contents, prefixes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_a_prefix_enclose_exactly_what_begins_with_it() {
        for prefix in ["a", "dir/", "é", "\u{10ffff}"] {
            let bound = beyond(prefix).unwrap();
            assert!(format!("{prefix}\u{10ffff}\u{10ffff}").as_bytes() < bound.as_slice());
            assert!(prefix.as_bytes() < bound.as_slice());
        }
        assert!(b"dir0".as_slice() >= beyond("dir/").unwrap().as_slice());
        assert_eq!(beyond(""), None);
        assert!(after("a").as_slice() > b"a".as_slice());
        assert!(after("a").as_slice() <= b"a\0".as_slice());
    }

    #[test]
    fn a_key_is_rolled_up_at_the_first_delimiter_after_the_prefix() {
        assert_eq!(common_prefix("a/b/c", "", Some("/")), Some("a/"));
        assert_eq!(common_prefix("a/b/c", "a/", Some("/")), Some("a/b/"));
        assert_eq!(common_prefix("a/b/c", "a/b/", Some("/")), None);
        assert_eq!(common_prefix("a--b--c", "a", Some("--")), Some("a--"));
        assert_eq!(common_prefix("a/b", "", None), None);
    }

    #[test]
    fn names_are_encoded_only_when_that_is_asked_for() {
        let url = Names::new(Some(&EncodingType::from_static(EncodingType::URL))).unwrap();
        assert_eq!(url.write("a b/é+\u{1}".to_owned()), "a%20b/%C3%A9%2B%01");
        let plain = Names::new(None).unwrap();
        assert_eq!(plain.write("a b".to_owned()), "a b");
    }
}
