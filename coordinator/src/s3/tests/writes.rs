//! What is written is atomic, checked before it is visible, and leaves nothing behind when it fails.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, MetadataDirective, ObjectIdentifier};

use super::*;

#[tokio::test]
async fn of_eight_writers_that_put_if_absent_exactly_one_wins() {
    let endpoint = Endpoint::start().await;
    for round in 0..20 {
        let key = format!("round-{round}");
        let writers = (0..8).map(|writer| {
            let client = endpoint.client();
            let key = key.clone();
            tokio::spawn(async move {
                let body = format!("writer {writer}").into_bytes();
                let put = client
                    .put_object()
                    .bucket(BUCKET)
                    .key(key)
                    .if_none_match("*");
                (writer, put.body(body.into()).send().await)
            })
        });
        let mut winners = Vec::new();
        for writer in writers.collect::<Vec<_>>() {
            match writer.await.unwrap() {
                (writer, Ok(_)) => winners.push(writer),
                (_, refused) => assert_eq!(code(refused), "PreconditionFailed"),
            }
        }
        assert_eq!(winners.len(), 1, "round {round}");
        assert_eq!(
            endpoint.get(&key).await,
            format!("writer {}", winners[0]).into_bytes()
        );
    }
    endpoint.settles_at(20).await;
}

#[tokio::test]
async fn a_body_that_is_not_what_it_claims_is_refused_and_never_visible() {
    let endpoint = Endpoint::start().await;
    let client = endpoint.client();
    let put = || {
        client
            .put_object()
            .bucket(BUCKET)
            .key("k")
            .body(b"body".to_vec().into())
    };
    assert_eq!(
        code(put().checksum_crc32("AAAAAA==").send().await),
        "BadDigest"
    );
    assert_eq!(
        code(put().checksum_crc32_c("AAAAAA==").send().await),
        "BadDigest"
    );
    assert_eq!(
        code(put().checksum_crc64_nvme("AAAAAAAAAAA=").send().await),
        "BadDigest"
    );
    assert_eq!(
        code(put().checksum_sha256("AAAA").send().await),
        "BadDigest"
    );
    assert_eq!(
        code(put().content_md5("1B2M2Y8AsgTpgAmY7PhCfg==").send().await),
        "BadDigest"
    );
    assert_eq!(
        code(put().content_md5("nonsense").send().await),
        "InvalidDigest"
    );
    assert!(!endpoint.exists("k").await);
    endpoint.settles_at(0).await;

    put()
        .content_md5("hBotaJrYa9FhFEdFPCLG/A==")
        .send()
        .await
        .unwrap();
    assert!(endpoint.exists("k").await);
}

#[tokio::test]
async fn a_client_that_goes_away_in_the_middle_leaves_nothing() {
    let endpoint = Endpoint::start().await;
    let config = PresigningConfig::expires_in(Duration::from_mins(1)).unwrap();
    let put = endpoint.client().put_object().bucket(BUCKET).key("half");
    let url = put.presigned(config).await.unwrap().uri().to_owned();
    let path = url
        .strip_prefix(&format!("http://{}", endpoint.address))
        .unwrap();
    let mut stream = TcpStream::connect(endpoint.address).await.unwrap();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: 4000000\r\n\r\n",
        endpoint.address
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&noise(2_000_000)).await.unwrap();
    endpoint.settles_at(1).await;
    drop(stream);
    endpoint.settles_at(0).await;
    assert!(!endpoint.exists("half").await);
}

#[tokio::test]
async fn a_large_stream_with_a_trailing_checksum_arrives_whole() {
    let endpoint = Endpoint::start().await;
    let body = noise((24 << 20) + 12_345);
    let source = endpoint.folder.path().join("source");
    std::fs::write(&source, &body).unwrap();
    let put = endpoint.client().put_object().bucket(BUCKET).key("large");
    let put = put
        .body(ByteStream::from_path(&source).await.unwrap())
        .send()
        .await
        .unwrap();
    assert!(
        put.checksum_crc32.is_some() || put.checksum_crc64_nvme.is_some(),
        "{put:?}"
    );
    assert!(endpoint.get("large").await == body);
    // `aws-chunked` is how it came, not what it is.
    let head = endpoint
        .client()
        .head_object()
        .bucket(BUCKET)
        .key("large")
        .send()
        .await
        .unwrap();
    assert_eq!(head.content_encoding, None);
}

#[tokio::test]
async fn replaced_and_deleted_objects_give_their_files_back_but_not_to_an_open_reader() {
    let endpoint = Endpoint::start().await;
    let client = endpoint.client();
    let body = noise(8 << 20);
    endpoint.put("a", &body).await;
    let reader = client
        .get_object()
        .bucket(BUCKET)
        .key("a")
        .send()
        .await
        .unwrap();
    endpoint.put("a", b"another").await;
    endpoint.settles_at(1).await;
    client
        .delete_object()
        .bucket(BUCKET)
        .key("a")
        .send()
        .await
        .unwrap();
    endpoint.settles_at(0).await;
    assert!(reader.body.collect().await.unwrap().to_vec() == body);
    // Deleting what is not there is no error.
    client
        .delete_object()
        .bucket(BUCKET)
        .key("a")
        .send()
        .await
        .unwrap();

    let keys = ["x", "y", "not there"];
    endpoint.put("x", b"1").await;
    endpoint.put("y", b"2").await;
    endpoint.put("z", b"3").await;
    let objects = keys.map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
    let delete = Delete::builder()
        .set_objects(Some(objects.to_vec()))
        .build()
        .unwrap();
    let deleted = client
        .delete_objects()
        .bucket(BUCKET)
        .delete(delete)
        .send()
        .await
        .unwrap();
    assert_eq!(deleted.deleted().len(), 3);
    assert!(!endpoint.exists("x").await && endpoint.exists("z").await);
    endpoint.settles_at(1).await;
}

#[tokio::test]
async fn if_match_replaces_only_what_the_client_has_seen() {
    let endpoint = Endpoint::start().await;
    let client = endpoint.client();
    let put = |etag: &str| {
        let put = client.put_object().bucket(BUCKET).key("k").if_match(etag);
        put.body(b"new".to_vec().into()).send()
    };
    assert_eq!(code(put("\"0\"").await), "NoSuchKey");
    let etag = endpoint.put("k", b"old").await;
    assert_eq!(code(put("\"0\"").await), "PreconditionFailed");
    put(&etag).await.unwrap();
    assert_eq!(endpoint.get("k").await, b"new");
}

#[tokio::test]
async fn a_copy_has_bytes_of_its_own_and_keeps_or_replaces_what_was_said() {
    let endpoint = Endpoint::start().await;
    let client = endpoint.client();
    let put = client
        .put_object()
        .bucket(BUCKET)
        .key("from")
        .content_type("image/png");
    put.metadata("name", "a cafe")
        .body(b"bytes".to_vec().into())
        .send()
        .await
        .unwrap();
    let copy = |to: &str| {
        client
            .copy_object()
            .bucket(BUCKET)
            .key(to)
            .copy_source(format!("{BUCKET}/from"))
    };
    copy("kept").send().await.unwrap();
    let replaced = copy("replaced").metadata_directive(MetadataDirective::Replace);
    replaced.content_type("text/plain").send().await.unwrap();
    assert_eq!(code(copy("from").send().await), "InvalidRequest");
    let missing = client
        .copy_object()
        .bucket(BUCKET)
        .key("to")
        .copy_source("atelier/none");
    assert_eq!(code(missing.send().await), "NoSuchKey");

    client
        .delete_object()
        .bucket(BUCKET)
        .key("from")
        .send()
        .await
        .unwrap();
    assert_eq!(endpoint.get("kept").await, b"bytes");
    let head = |key: &str| client.head_object().bucket(BUCKET).key(key).send();
    let kept = head("kept").await.unwrap();
    assert_eq!(kept.content_type(), Some("image/png"));
    assert_eq!(kept.metadata().unwrap()["name"], "a cafe");
    let replaced = head("replaced").await.unwrap();
    assert_eq!(replaced.content_type(), Some("text/plain"));
    assert!(
        replaced
            .metadata()
            .is_none_or(std::collections::HashMap::is_empty)
    );
}
