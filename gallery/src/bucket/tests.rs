//! What a bucket makes of servers that refuse, break off, are busy or are not there. Its promises against whole S3
//! servers are tested with the programs.

pub(crate) mod server;

use atelier_proto::storage::S3Credentials;
use tokio::net::TcpListener;

use self::server::{Server, answer, error_body};
use super::*;

impl Server {
    async fn bucket(&self) -> Bucket {
        bucket_at(&self.endpoint).await
    }
}

pub(crate) async fn bucket_at(endpoint: &str) -> Bucket {
    let storage = Storage {
        endpoint: Some(endpoint.to_owned()),
        region: "us-east-1".to_owned(),
        bucket: "gallery".to_owned(),
        force_path_style: true,
        credentials: Some(S3Credentials {
            access_key_id: "id".to_owned(),
            secret_access_key: "very secret".to_owned().into(),
        }),
    };
    Bucket::connect(&storage).await.unwrap()
}

#[tokio::test]
async fn a_refusal_names_the_credentials_even_without_a_body() {
    let server = Server::with(&[answer("403 Forbidden", "")]).await;
    let bucket = server.bucket().await;
    let error = bucket.check().await.unwrap_err();
    assert!(matches!(error, BucketError::Refused { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("credentials") && text.contains("hint:"),
        "{text}"
    );
    assert!(text.contains(&server.endpoint) && !error.is_passing());
    assert_eq!(server.heard(), 1, "a refusal does not pass");
    assert!(!format!("{bucket:?}").contains("very secret"));

    let body = error_body("SignatureDoesNotMatch");
    let server = Server::with(&[answer("403 Forbidden", &body)]).await;
    let error = server.bucket().await.get("inputs/a", 9).await.unwrap_err();
    assert!(
        error.to_string().contains("SignatureDoesNotMatch"),
        "{error}"
    );
}

#[tokio::test]
async fn nobody_there_is_told_by_the_endpoint() {
    let endpoint = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let error = bucket_at(&endpoint).await.check().await.unwrap_err();
    assert!(
        matches!(error, BucketError::Unreachable { .. }),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(
        text.contains(&endpoint) && text.contains("refused"),
        "{text}"
    );
    assert!(error.is_passing());
}

#[tokio::test]
async fn what_is_missing_is_told_apart() {
    let no_key = answer("404 Not Found", &error_body("NoSuchKey"));
    let no_bucket = answer("404 Not Found", &error_body("NoSuchBucket"));
    let headless = answer("404 Not Found", "");
    let server = Server::with(&[no_key, no_bucket, headless]).await;
    let bucket = server.bucket().await;
    let error = bucket.get("a", 9).await.unwrap_err();
    assert!(
        matches!(error, BucketError::NotFound { ref key, .. } if key == "a"),
        "{error:?}"
    );
    let error = bucket.get("a", 9).await.unwrap_err();
    assert!(
        matches!(error, BucketError::NoSuchBucket { .. }),
        "{error:?}"
    );
    assert_eq!(bucket.head("a").await.unwrap(), None);
    let error = bucket.check().await.unwrap_err();
    assert!(
        matches!(error, BucketError::NoSuchBucket { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn another_writer_at_the_same_moment_is_waited_for() {
    let conflict = answer("409 Conflict", &error_body("ConditionalRequestConflict"));
    let there = answer("412 Precondition Failed", &error_body("PreconditionFailed"));
    let server = Server::with(&[conflict.clone(), conflict, there]).await;
    let bucket = server.bucket().await;
    let metadata = [("network", "vgg16 é\n".to_owned())];
    let put = bucket.put_if_absent("a", Bytes::from_static(b"x"), "image/jpeg", &metadata);
    assert_eq!(put.await.unwrap(), PutOutcome::AlreadyThere);
    assert_eq!(server.heard(), 3);
    let request = server.request(2).to_lowercase();
    assert!(request.contains("if-none-match: *"), "{request}");
    assert!(
        request.contains("x-amz-meta-network: vgg16 ??"),
        "{request}"
    );
}

#[tokio::test]
async fn a_busy_server_is_asked_again_and_then_told() {
    let busy = answer("503 Slow Down", &error_body("SlowDown"));
    let server = Server::with(&[busy.clone(), answer("200 OK", "")]).await;
    server.bucket().await.check().await.unwrap();
    let server = Server::with(&[busy]).await;
    let error = server.bucket().await.get("a", 9).await.unwrap_err();
    assert!(matches!(error, BucketError::Busy { .. }), "{error:?}");
    assert!(error.is_passing());
    assert_eq!(server.heard(), ATTEMPTS_MAX as usize);
}

#[tokio::test]
async fn a_full_disk_is_told_as_one() {
    let full = answer(
        "507 Insufficient Storage",
        &error_body("InsufficientStorage"),
    );
    let server = Server::with(&[full]).await;
    let bucket = server.bucket().await;
    let put = bucket
        .put("a", Bytes::from_static(b"b"), "text/plain", None)
        .await;
    let error = put.unwrap_err();
    assert!(matches!(error, BucketError::Full { .. }), "{error:?}");
    assert!(error.to_string().contains("no space left"), "{error}");
    assert!(!error.is_passing());
}

#[tokio::test]
async fn more_bytes_than_wanted_are_not_taken() {
    let chunked = "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
                   6\r\n123456\r\n6\r\n123456\r\n0\r\n\r\n";
    let server = Server::with(&[answer("200 OK", "0123456789"), chunked.to_owned()]).await;
    let bucket = server.bucket().await;
    for _ in 0..2 {
        let error = bucket.get("a", 9).await.unwrap_err();
        assert!(
            matches!(error, BucketError::TooLarge { bytes_max: 9, .. }),
            "{error:?}"
        );
    }
    assert_eq!(bucket.get("a", 12).await.unwrap(), b"123456123456");
}
