//! Conditional requests: pure decisions on an object's `ETag` and time of last change.
//!
//! Follows RFC 9110, section 13.2.2, and S3 where S3 says less. Does no I/O.

use jiff::Timestamp;
use s3s::dto::ETagCondition;
use s3s::{S3Error, S3Result, s3_error};

/// The conditions of a request that reads.
#[derive(Debug, Default)]
#[expect(clippy::struct_field_names, reason = "they are named like the headers")]
pub(super) struct ReadConditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_modified_since: Option<s3s::dto::Timestamp>,
    pub(super) if_unmodified_since: Option<s3s::dto::Timestamp>,
}

/// What the conditions of a read say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadVerdict {
    Proceed,
    NotModified,
    Failed,
}

/// The conditions of a request that writes.
#[derive(Debug, Default, Clone)]
pub(super) struct WriteConditions {
    /// `If-None-Match: *`.
    absent: bool,
    /// `If-Match`.
    matching: Option<ETagCondition>,
}

/// Why a conditional write did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WriteRefusal {
    /// There is an object, and there should be none.
    Exists,
    /// There is no object, and there should be one.
    Missing,
    /// The object is not the expected one.
    Changed,
}

impl ReadConditions {
    pub(super) fn verdict(&self, etag: &str, modified: Timestamp) -> ReadVerdict {
        let modified_s = modified.as_second();
        match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) if !matches(condition, etag) => return ReadVerdict::Failed,
            (None, Some(since)) if modified_s > seconds(since) => return ReadVerdict::Failed,
            _ => {}
        }
        match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) if matches(condition, etag) => ReadVerdict::NotModified,
            (None, Some(since)) if modified_s <= seconds(since) => ReadVerdict::NotModified,
            _ => ReadVerdict::Proceed,
        }
    }
}

impl WriteConditions {
    /// # Errors
    /// S3 knows only `*` for `If-None-Match` of a write.
    pub(super) fn new(
        if_none_match: Option<&ETagCondition>,
        if_match: Option<ETagCondition>,
    ) -> S3Result<Self> {
        if if_none_match.is_some_and(|condition| !condition.is_any()) {
            return Err(s3_error!(
                NotImplemented,
                "If-None-Match of a write has to be `*`"
            ));
        }
        Ok(Self {
            absent: if_none_match.is_some(),
            matching: if_match,
        })
    }

    /// Whether the write may happen, given the `ETag` of the object that is there.
    pub(super) fn check(&self, current: Option<&str>) -> Result<(), WriteRefusal> {
        match (current, &self.matching) {
            (Some(_), _) if self.absent => Err(WriteRefusal::Exists),
            (None, Some(_)) => Err(WriteRefusal::Missing),
            (Some(etag), Some(condition)) if !matches(condition, etag) => {
                Err(WriteRefusal::Changed)
            }
            _ => Ok(()),
        }
    }
}

impl From<WriteRefusal> for S3Error {
    fn from(refusal: WriteRefusal) -> Self {
        match refusal {
            WriteRefusal::Exists => s3_error!(PreconditionFailed, "the object is already there"),
            WriteRefusal::Changed => s3_error!(PreconditionFailed, "the object has another ETag"),
            WriteRefusal::Missing => s3_error!(NoSuchKey, "the object is not there"),
        }
    }
}

fn matches(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(wanted) => wanted.value() == etag,
    }
}

fn seconds(time: &s3s::dto::Timestamp) -> i64 {
    time::OffsetDateTime::from(time.clone()).unix_timestamp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use s3s::dto::ETag;

    fn is(etag: &str) -> ETagCondition {
        ETagCondition::ETag(ETag::Strong(etag.to_owned()))
    }

    fn at(second: i64) -> s3s::dto::Timestamp {
        time::OffsetDateTime::from_unix_timestamp(second)
            .unwrap()
            .into()
    }

    #[test]
    fn an_etag_decides_before_a_time_does() {
        let modified = Timestamp::from_millisecond(100_900).unwrap();
        let verdict = |conditions: ReadConditions| conditions.verdict("e", modified);
        let none = ReadConditions::default;
        assert_eq!(verdict(none()), ReadVerdict::Proceed);
        assert_eq!(
            verdict(ReadConditions {
                if_match: Some(is("x")),
                ..none()
            }),
            ReadVerdict::Failed
        );
        assert_eq!(
            verdict(ReadConditions {
                if_match: Some(is("e")),
                if_unmodified_since: Some(at(1)),
                ..none()
            }),
            ReadVerdict::Proceed
        );
        assert_eq!(
            verdict(ReadConditions {
                if_unmodified_since: Some(at(99)),
                ..none()
            }),
            ReadVerdict::Failed
        );
        assert_eq!(
            verdict(ReadConditions {
                if_none_match: Some(is("e")),
                ..none()
            }),
            ReadVerdict::NotModified
        );
        assert_eq!(
            verdict(ReadConditions {
                if_none_match: Some(is("x")),
                if_modified_since: Some(at(200)),
                ..none()
            }),
            ReadVerdict::Proceed
        );
        // The header has whole seconds, so a change within that second does not count as later.
        assert_eq!(
            verdict(ReadConditions {
                if_modified_since: Some(at(100)),
                ..none()
            }),
            ReadVerdict::NotModified
        );
    }

    #[test]
    fn a_write_is_refused_by_what_is_there() {
        let absent = WriteConditions::new(Some(&ETagCondition::Any), None).unwrap();
        assert_eq!(absent.check(None), Ok(()));
        assert_eq!(absent.check(Some("e")), Err(WriteRefusal::Exists));
        let same = WriteConditions::new(None, Some(is("e"))).unwrap();
        assert_eq!(same.check(Some("e")), Ok(()));
        assert_eq!(same.check(Some("x")), Err(WriteRefusal::Changed));
        assert_eq!(same.check(None), Err(WriteRefusal::Missing));
        assert!(WriteConditions::new(Some(&is("e")), None).is_err());
    }
}
