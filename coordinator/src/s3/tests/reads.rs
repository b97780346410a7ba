//! What is read is what was written, in whole or in part, and only when the client's condition holds.

use aws_sdk_s3::types::ChecksumMode;

use super::*;

#[tokio::test]
async fn an_object_comes_back_with_all_that_was_said_of_it() {
    let endpoint = Endpoint::start().await;
    let client = endpoint.client();
    let body = noise(300_000);
    client
        .put_object()
        .bucket(BUCKET)
        .key("k")
        .content_type("image/jpeg")
        .cache_control("no-cache")
        .content_disposition("attachment")
        .content_encoding("identity")
        .metadata("cell", "7")
        .checksum_sha256(sha256(&body))
        .body(body.clone().into())
        .send()
        .await
        .unwrap();
    let get = client
        .get_object()
        .bucket(BUCKET)
        .key("k")
        .checksum_mode(ChecksumMode::Enabled);
    let got = get.send().await.unwrap();
    assert_eq!(got.content_type(), Some("image/jpeg"));
    assert_eq!(got.cache_control(), Some("no-cache"));
    assert_eq!(got.content_disposition(), Some("attachment"));
    assert_eq!(got.content_encoding(), Some("identity"));
    assert_eq!(got.metadata().unwrap()["cell"], "7");
    assert_eq!(got.checksum_sha256(), Some(sha256(&body).as_str()));
    assert_eq!(got.content_length(), Some(300_000));
    assert!(got.last_modified().is_some() && got.e_tag().is_some());
    assert!(got.body.collect().await.unwrap().to_vec() == body);

    endpoint.put("empty", b"").await;
    assert_eq!(endpoint.get("empty").await, b"");
    let missing = client.get_object().bucket(BUCKET).key("none").send().await;
    assert_eq!(code(missing), "NoSuchKey");
    let elsewhere = client.get_object().bucket("another").key("k").send().await;
    assert_eq!(code(elsewhere), "NoSuchBucket");
}

#[tokio::test]
async fn a_range_is_what_it_says_and_outside_of_the_object_it_is_refused() {
    let endpoint = Endpoint::start().await;
    let body = noise(1_000_000);
    endpoint.put("k", &body).await;
    let client = endpoint.client();
    for (range, expected, content_range) in [
        ("bytes=0-0", 0..1, "bytes 0-0/1000000"),
        (
            "bytes=500000-700000",
            500_000..700_001,
            "bytes 500000-700000/1000000",
        ),
        (
            "bytes=999990-",
            999_990..1_000_000,
            "bytes 999990-999999/1000000",
        ),
        (
            "bytes=-10",
            999_990..1_000_000,
            "bytes 999990-999999/1000000",
        ),
        ("bytes=0-9999999", 0..1_000_000, "bytes 0-999999/1000000"),
    ] {
        let got = client
            .get_object()
            .bucket(BUCKET)
            .key("k")
            .range(range)
            .send()
            .await
            .unwrap();
        assert_eq!(got.content_range(), Some(content_range));
        assert_eq!(got.content_length(), Some(expected.len() as i64));
        assert!(
            got.body.collect().await.unwrap().to_vec() == body[expected],
            "{range}"
        );
    }
    let beyond = client
        .get_object()
        .bucket(BUCKET)
        .key("k")
        .range("bytes=1000000-")
        .send()
        .await;
    assert_eq!(code(beyond), "InvalidRange");
}

#[tokio::test]
async fn a_reader_who_has_it_already_is_told_so() {
    let endpoint = Endpoint::start().await;
    let etag = endpoint.put("k", b"bytes").await;
    let config = PresigningConfig::expires_in(Duration::from_mins(1)).unwrap();
    let path = endpoint.presigned("k", config).await;
    let same = endpoint
        .bare("GET", &path, &format!("if-none-match: {etag}\r\n"))
        .await;
    assert!(same.starts_with("HTTP/1.1 304 "), "{same}");
    assert!(
        same.to_lowercase().contains(&format!("etag: {etag}")),
        "{same}"
    );
    assert!(same.ends_with("\r\n\r\n"), "a 304 has no body: {same}");
    let other = endpoint
        .bare("GET", &path, "if-none-match: \"other\"\r\n")
        .await;
    assert!(
        other.starts_with("HTTP/1.1 200 ") && other.ends_with("bytes"),
        "{other}"
    );
    let failed = endpoint.bare("GET", &path, "if-match: \"other\"\r\n").await;
    assert!(failed.starts_with("HTTP/1.1 412 "), "{failed}");
    let later = "if-modified-since: Fri, 01 Jan 2100 00:00:00 GMT\r\n";
    let later = endpoint.bare("GET", &path, later).await;
    assert!(later.starts_with("HTTP/1.1 304 "), "{later}");
}

fn sha256(bytes: &[u8]) -> String {
    use base64::Engine as _;
    use s3s::crypto::Checksum as _;
    base64::engine::general_purpose::STANDARD.encode(s3s::crypto::Sha256::checksum(bytes))
}
