//! The additional checksums of S3: which one a request declares, computing it, and echoing it.
//!
//! Owns the five algorithms and their wire names. Knows no files and no index.

use http::HeaderMap;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::Checksum as _;
use s3s::dto;
use s3s::{S3Result, s3_error};
use serde::{Deserialize, Serialize};

const HEADER_PREFIX: &str = "x-amz-checksum-";

/// An algorithm that S3 knows besides MD5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64nvme,
    Sha1,
    Sha256,
}

/// What a checksum is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Kind {
    /// The bytes of the object.
    FullObject,
    /// The checksums of its parts, one after the other.
    Composite,
}

/// A checksum as it is stored and echoed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checksum {
    pub(super) algorithm: Algorithm,
    pub(super) kind: Kind,
    /// Base64; composite ones end in `-<parts>`.
    pub(super) value: String,
}

/// The checksum that a body has to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) algorithm: Algorithm,
    pub(super) value: ExpectedValue,
}

/// Where the value to compare with comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ExpectedValue {
    /// It came in a header, before the body.
    Given(String),
    /// It comes in a trailer, after the body.
    Trailer,
    /// There is none: the checksum is only computed and kept.
    Nothing,
}

impl Algorithm {
    const ALL: [Self; 5] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64nvme,
        Self::Sha1,
        Self::Sha256,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    pub(super) fn parse(name: &str) -> S3Result<Self> {
        let known = Self::ALL
            .into_iter()
            .find(|known| known.name().eq_ignore_ascii_case(name));
        known.ok_or_else(|| s3_error!(InvalidRequest, "the checksum algorithm `{name}` is unknown"))
    }

    pub(super) fn header(self) -> String {
        format!("{HEADER_PREFIX}{}", self.name().to_ascii_lowercase())
    }

    /// What S3 makes of a multipart upload that names no kind.
    pub(super) fn usual_kind(self) -> Kind {
        match self {
            Self::Crc64nvme => Kind::FullObject,
            Self::Crc32 | Self::Crc32c | Self::Sha1 | Self::Sha256 => Kind::Composite,
        }
    }
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::FullObject => dto::ChecksumType::FULL_OBJECT,
            Self::Composite => dto::ChecksumType::COMPOSITE,
        }
    }

    pub(super) fn parse(name: &str) -> S3Result<Self> {
        match name {
            dto::ChecksumType::FULL_OBJECT => Ok(Self::FullObject),
            dto::ChecksumType::COMPOSITE => Ok(Self::Composite),
            _ => Err(s3_error!(
                InvalidRequest,
                "the checksum type `{name}` is unknown"
            )),
        }
    }
}

/// Computes one checksum over a stream.
pub(super) struct Hasher {
    algorithm: Algorithm,
    inner: ChecksumHasher,
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hasher")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

impl Hasher {
    pub(super) fn new(algorithm: Algorithm) -> Self {
        let mut inner = ChecksumHasher::default();
        match algorithm {
            Algorithm::Crc32 => inner.crc32 = Some(s3s::crypto::Crc32::new()),
            Algorithm::Crc32c => inner.crc32c = Some(s3s::crypto::Crc32c::new()),
            Algorithm::Crc64nvme => inner.crc64nvme = Some(s3s::crypto::Crc64Nvme::new()),
            Algorithm::Sha1 => inner.sha1 = Some(s3s::crypto::Sha1::new()),
            Algorithm::Sha256 => inner.sha256 = Some(s3s::crypto::Sha256::new()),
        }
        Self { algorithm, inner }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.inner.update(bytes);
    }

    pub(super) fn finish(self) -> Checksum {
        let sums = self.inner.finalize();
        let value = match self.algorithm {
            Algorithm::Crc32 => sums.checksum_crc32,
            Algorithm::Crc32c => sums.checksum_crc32c,
            Algorithm::Crc64nvme => sums.checksum_crc64nvme,
            Algorithm::Sha1 => sums.checksum_sha1,
            Algorithm::Sha256 => sums.checksum_sha256,
        };
        Checksum {
            algorithm: self.algorithm,
            kind: Kind::FullObject,
            value: value.unwrap_or_default(),
        }
    }
}

/// The five checksum fields of an input, taken together.
macro_rules! checksum_fields {
    ($input:expr) => {
        [
            (Algorithm::Crc32, $input.checksum_crc32.as_deref()),
            (Algorithm::Crc32c, $input.checksum_crc32c.as_deref()),
            (Algorithm::Crc64nvme, $input.checksum_crc64nvme.as_deref()),
            (Algorithm::Sha1, $input.checksum_sha1.as_deref()),
            (Algorithm::Sha256, $input.checksum_sha256.as_deref()),
        ]
    };
}
pub(super) use checksum_fields;

/// Sets the one checksum field of an output that belongs to the algorithm.
macro_rules! echo_checksum {
    ($output:expr, $checksum:expr) => {
        if let Some(checksum) = $checksum {
            let value = Some(checksum.value.clone());
            match checksum.algorithm {
                Algorithm::Crc32 => $output.checksum_crc32 = value,
                Algorithm::Crc32c => $output.checksum_crc32c = value,
                Algorithm::Crc64nvme => $output.checksum_crc64nvme = value,
                Algorithm::Sha1 => $output.checksum_sha1 = value,
                Algorithm::Sha256 => $output.checksum_sha256 = value,
            }
        }
    };
}
pub(super) use echo_checksum;

/// The one checksum among the fields of an input, if there is one.
pub(super) fn declared(
    fields: [(Algorithm, Option<&str>); 5],
) -> S3Result<Option<(Algorithm, String)>> {
    let mut given = fields
        .into_iter()
        .filter_map(|(algorithm, value)| Some((algorithm, value?.to_owned())));
    let first = given.next();
    if given.next().is_some() {
        return Err(s3_error!(
            InvalidRequest,
            "expecting a single {HEADER_PREFIX} header"
        ));
    }
    Ok(first)
}

/// What a body's checksum has to be, by the request's headers; `usual` is computed where they say nothing.
pub(super) fn expected(
    headers: &HeaderMap,
    declared: Option<(Algorithm, String)>,
    named: Option<&dto::ChecksumAlgorithm>,
    usual: Option<Algorithm>,
) -> S3Result<Option<Expected>> {
    if let Some((algorithm, value)) = declared {
        return Ok(Some(Expected {
            algorithm,
            value: ExpectedValue::Given(value),
        }));
    }
    let announced = headers
        .get("x-amz-trailer")
        .and_then(|names| names.to_str().ok());
    let mut announced = announced.unwrap_or_default().split(',').map(str::trim);
    if let Some(name) = announced.find_map(|name| name.strip_prefix(HEADER_PREFIX)) {
        let algorithm = Algorithm::parse(name)?;
        return Ok(Some(Expected {
            algorithm,
            value: ExpectedValue::Trailer,
        }));
    }
    let algorithm = match named {
        Some(named) => Some(Algorithm::parse(named.as_str())?),
        None => usual,
    };
    Ok(algorithm.map(|algorithm| Expected {
        algorithm,
        value: ExpectedValue::Nothing,
    }))
}

/// The checksum of checksums that S3 gives an object of several parts.
///
/// # Errors
/// When a part's checksum is of another algorithm or not base64, which an index of ours does not hold.
pub(super) fn composite(algorithm: Algorithm, parts: &[Option<Checksum>]) -> S3Result<Checksum> {
    use base64::Engine as _;
    let mut hasher = Hasher::new(algorithm);
    for part in parts {
        let part = part.as_ref().filter(|part| part.algorithm == algorithm);
        let part = part.ok_or_else(|| {
            s3_error!(
                InvalidRequest,
                "a part was uploaded without a {} checksum",
                algorithm.name()
            )
        })?;
        let digest = base64::engine::general_purpose::STANDARD
            .decode(&part.value)
            .map_err(|error| s3_error!(error, InternalError))?;
        hasher.update(&digest);
    }
    let mut checksum = hasher.finish();
    checksum.kind = Kind::Composite;
    checksum.value = format!("{}-{}", checksum.value, parts.len());
    Ok(checksum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_values_of_the_algorithms_are_those_of_their_standards() {
        let values = Algorithm::ALL.map(|algorithm| {
            let mut hasher = Hasher::new(algorithm);
            hasher.update(b"12345");
            hasher.update(b"6789");
            hasher.finish().value
        });
        assert_eq!(
            values,
            [
                "y/Q5Jg==",
                "4waSgw==",
                "rosUhgp5mIg=",
                "98O8HYCOBHMq32eZZczDTKeuNEE=",
                "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="
            ]
            .map(str::to_owned)
        );
    }

    #[test]
    fn a_trailer_is_expected_when_it_is_announced_and_two_values_are_refused() {
        let mut headers = HeaderMap::new();
        headers.insert(
            "x-amz-trailer",
            http::HeaderValue::from_static("x-amz-checksum-sha256"),
        );
        let expected = expected(&headers, None, None, Some(Algorithm::Crc32)).unwrap();
        assert_eq!(
            expected,
            Some(Expected {
                algorithm: Algorithm::Sha256,
                value: ExpectedValue::Trailer
            })
        );
        let two = [
            (Algorithm::Crc32, Some("a")),
            (Algorithm::Crc32c, Some("b")),
            (Algorithm::Crc64nvme, None),
            (Algorithm::Sha1, None),
            (Algorithm::Sha256, None),
        ];
        assert!(declared(two).is_err());
    }
}
