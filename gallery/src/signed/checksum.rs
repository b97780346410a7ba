//! Whether what came is what was put: S3 keeps a checksum of most objects, and tells it to whoever asks.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>

use atelier_proto::ids::Digest;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use crc_fast::{CrcAlgorithm, checksum};
use reqwest::header::HeaderMap;

/// The part of a signed URL by which the checksum is asked for.
pub(super) const ASKED_FOR: &str = "x-amz-checksum-mode=ENABLED";

/// Whether a whole object has another checksum than its answer says. One of parts that were put one by one says nothing of
/// the whole, and an object without one is taken as it is.
pub(super) fn is_wrong(headers: &HeaderMap, bytes: &[u8]) -> bool {
    let crc32 = |algorithm| (checksum(algorithm, bytes) as u32).to_be_bytes().to_vec();
    let told = |name: &str| headers.get(format!("x-amz-checksum-{name}"))?.to_str().ok();
    let differs = |name: &str, computed: &dyn Fn() -> Vec<u8>| {
        told(name)
            .filter(|told| !told.contains('-'))
            .is_some_and(|told| told != BASE64_STANDARD.encode(computed()))
    };
    differs("crc32", &|| crc32(CrcAlgorithm::Crc32IsoHdlc))
        || differs("crc32c", &|| crc32(CrcAlgorithm::Crc32Iscsi))
        || differs("crc64nvme", &|| {
            let sum = checksum(CrcAlgorithm::Crc64Nvme, bytes);
            sum.to_be_bytes().to_vec()
        })
        || differs("sha256", &|| Digest::of(bytes).as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn the_check_values_of_the_algorithms_are_right_and_others_wrong() {
        let is_wrong_with = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
            is_wrong(&headers, b"123456789")
        };
        // Of the catalogue at <https://reveng.sourceforge.io/crc-catalogue/>: cbf43926, e3069283, ae8b14860a799888.
        for (name, right, wrong) in [
            ("x-amz-checksum-crc32", "y/Q5Jg==", "y/Q5Jw=="),
            ("x-amz-checksum-crc32c", "4waSgw==", "y/Q5Jg=="),
            ("x-amz-checksum-crc64nvme", "rosUhgp5mIg=", "rosUhgp5mIk="),
            (
                "x-amz-checksum-sha256",
                "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
                "4waSgw==",
            ),
        ] {
            assert!(is_wrong_with(name, wrong), "{name}");
            assert!(!is_wrong_with(name, right), "{name}");
        }
        assert!(!is_wrong_with("x-amz-checksum-crc32", "y/Q5Jw==-2"));
        assert!(!is_wrong(&HeaderMap::new(), b"123456789"));
    }
}
