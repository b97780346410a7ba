//! Multipart uploads: one object at the end, or nothing.

use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};

use super::*;

const PART_BYTES: usize = 5 << 20;

struct Upload<'a> {
    endpoint: &'a Endpoint,
    key: &'a str,
    id: String,
    parts: Vec<CompletedPart>,
}

impl<'a> Upload<'a> {
    async fn begin(endpoint: &'a Endpoint, key: &'a str) -> Self {
        let begun = endpoint
            .client()
            .create_multipart_upload()
            .bucket(BUCKET)
            .key(key);
        let id = begun
            .content_type("image/png")
            .send()
            .await
            .unwrap()
            .upload_id
            .unwrap();
        Self {
            endpoint,
            key,
            id,
            parts: Vec::new(),
        }
    }

    async fn part(&mut self, number: i32, body: &[u8]) {
        let part = self
            .endpoint
            .client()
            .upload_part()
            .bucket(BUCKET)
            .key(self.key);
        let part = part
            .upload_id(&self.id)
            .part_number(number)
            .body(body.to_vec().into());
        let etag = part.send().await.unwrap().e_tag.unwrap();
        self.parts.push(
            CompletedPart::builder()
                .part_number(number)
                .e_tag(etag)
                .build(),
        );
    }

    fn completion(
        &self,
    ) -> aws_sdk_s3::operation::complete_multipart_upload::builders::CompleteMultipartUploadFluentBuilder
    {
        let parts = CompletedMultipartUpload::builder()
            .set_parts(Some(self.parts.clone()))
            .build();
        let complete = self
            .endpoint
            .client()
            .complete_multipart_upload()
            .bucket(BUCKET);
        complete
            .key(self.key)
            .upload_id(&self.id)
            .multipart_upload(parts)
    }
}

#[tokio::test]
async fn parts_in_any_order_become_one_object_and_their_files_go() {
    let endpoint = Endpoint::start().await;
    let body = noise(2 * PART_BYTES + 1000);
    let mut upload = Upload::begin(&endpoint, "k").await;
    upload.part(2, &body[PART_BYTES..2 * PART_BYTES]).await;
    upload.part(7, &body[2 * PART_BYTES..]).await;
    upload.part(1, b"replaced").await;
    upload.parts.pop();
    upload.part(1, &body[..PART_BYTES]).await;
    assert_eq!(code(upload.completion().send().await), "InvalidPartOrder");
    upload.parts.sort_by_key(|part| part.part_number);

    let client = endpoint.client();
    let listed = client
        .list_parts()
        .bucket(BUCKET)
        .key("k")
        .upload_id(&upload.id)
        .max_parts(2);
    let listed = listed.send().await.unwrap();
    let numbers: Vec<_> = listed
        .parts()
        .iter()
        .filter_map(aws_sdk_s3::types::Part::part_number)
        .collect();
    assert_eq!((numbers, listed.is_truncated()), (vec![1, 2], Some(true)));
    let uploads = client
        .list_multipart_uploads()
        .bucket(BUCKET)
        .prefix("k")
        .send()
        .await
        .unwrap();
    assert_eq!(uploads.uploads()[0].upload_id(), Some(upload.id.as_str()));
    assert!(
        !endpoint.exists("k").await,
        "nothing is visible before the end"
    );

    let done = upload.completion().if_none_match("*").send().await.unwrap();
    assert!(done.e_tag().unwrap().ends_with("-3\""), "{done:?}");
    assert!(endpoint.get("k").await == body);
    let head = client
        .head_object()
        .bucket(BUCKET)
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (head.content_type(), head.e_tag()),
        (Some("image/png"), done.e_tag())
    );
    endpoint.settles_at(1).await;
    assert_eq!(code(upload.completion().send().await), "NoSuchUpload");

    let mut second = Upload::begin(&endpoint, "k").await;
    second.part(1, b"another").await;
    let refused = second.completion().if_none_match("*").send().await;
    assert_eq!(code(refused), "PreconditionFailed");
    assert!(endpoint.get("k").await == body);
    client
        .abort_multipart_upload()
        .bucket(BUCKET)
        .key("k")
        .upload_id(&second.id)
        .send()
        .await
        .unwrap();
    endpoint.settles_at(1).await;
    let uploads = client
        .list_multipart_uploads()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    assert!(uploads.uploads().is_empty());
}

#[tokio::test]
async fn a_part_may_be_a_range_of_an_object() {
    let endpoint = Endpoint::start().await;
    let body = noise(PART_BYTES + 10);
    endpoint.put("from", &body).await;
    let mut upload = Upload::begin(&endpoint, "to").await;
    for (number, range) in [(1, "bytes=0-5242879"), (2, "bytes=5242880-5242889")] {
        let copy = endpoint
            .client()
            .upload_part_copy()
            .bucket(BUCKET)
            .key("to");
        let copy = copy
            .upload_id(&upload.id)
            .part_number(number)
            .copy_source("atelier/from");
        let copied = copy.copy_source_range(range).send().await.unwrap();
        let etag = copied.copy_part_result.unwrap().e_tag.unwrap();
        upload.parts.push(
            CompletedPart::builder()
                .part_number(number)
                .e_tag(etag)
                .build(),
        );
    }
    upload.completion().send().await.unwrap();
    assert!(endpoint.get("to").await == body);
}

#[tokio::test]
async fn a_small_part_before_the_last_and_a_part_that_is_another_are_refused() {
    let endpoint = Endpoint::start().await;
    let mut upload = Upload::begin(&endpoint, "k").await;
    upload.part(1, b"small").await;
    upload.part(2, b"last").await;
    assert_eq!(code(upload.completion().send().await), "EntityTooSmall");
    upload.parts.truncate(1);
    upload.parts.push(
        CompletedPart::builder()
            .part_number(2)
            .e_tag("\"0\"")
            .build(),
    );
    assert_eq!(code(upload.completion().send().await), "InvalidPart");
    let elsewhere = endpoint
        .client()
        .upload_part()
        .bucket(BUCKET)
        .key("another key");
    let elsewhere = elsewhere
        .upload_id(&upload.id)
        .part_number(1)
        .body(b"x".to_vec().into());
    assert_eq!(code(elsewhere.send().await), "NoSuchUpload");
    endpoint.settles_at(2).await;
}

#[tokio::test]
async fn the_checksum_of_a_joined_object_is_of_the_kind_that_was_asked_for() {
    let endpoint = Endpoint::start().await;
    let body = noise(PART_BYTES + 10);
    for (kind, dashed) in [
        (ChecksumType::FullObject, false),
        (ChecksumType::Composite, true),
    ] {
        let begun = endpoint
            .client()
            .create_multipart_upload()
            .bucket(BUCKET)
            .key("k");
        let begun = begun
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .checksum_type(kind);
        let id = begun.send().await.unwrap().upload_id.unwrap();
        let mut upload = Upload {
            endpoint: &endpoint,
            key: "k",
            id,
            parts: Vec::new(),
        };
        upload.part(1, &body[..PART_BYTES]).await;
        upload.part(2, &body[PART_BYTES..]).await;
        let wrong = upload.completion().checksum_crc32("AAAAAA==").send().await;
        assert_eq!(code(wrong), "BadDigest");
        let done = upload.completion().send().await.unwrap();
        assert_eq!(done.checksum_crc32().unwrap().ends_with("-2"), dashed);
        // The SDK compares the checksum of a whole object with what it reads.
        assert!(endpoint.get("k").await == body);
    }
}
