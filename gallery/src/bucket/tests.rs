//! What a bucket makes of servers that refuse, break off, are busy or are not there. Its promises against whole S3
//! servers are tested with the programs.

use std::collections::VecDeque;
use std::sync::Mutex;

use atelier_proto::storage::S3Credentials;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// Answers each request with the next of some HTTP responses, the last one again and again, one connection each.
struct Server {
    endpoint: String,
    requests: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn with(answers: &[String]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let mut answers = VecDeque::from(answers.to_vec());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let heard = requests.clone();
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                    if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                        break;
                    }
                }
                heard
                    .lock()
                    .unwrap()
                    .push(String::from_utf8_lossy(&request).into_owned());
                let answer = answers.front().cloned().unwrap_or_default();
                if answers.len() > 1 {
                    answers.pop_front();
                }
                // The client may have gone; the next one wants to be heard all the same.
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
                // A close while the body is still coming in would reset the connection before the answer is read.
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            }
        });
        Self {
            endpoint,
            requests,
            task,
        }
    }

    async fn bucket(&self) -> Bucket {
        bucket_at(&self.endpoint).await
    }

    fn heard(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

async fn bucket_at(endpoint: &str) -> Bucket {
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

fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn error_body(code: &str) -> String {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>So it is</Message></Error>")
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
    let request = server.requests.lock().unwrap()[2].to_lowercase();
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
async fn an_object_that_breaks_off_or_is_another_leaves_nothing_behind() {
    let short = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 100\r\n\r\nhalf";
    let server = Server::with(&[short.to_owned(), answer("200 OK", "whole")]).await;
    let bucket = server.bucket().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture.jpg");
    let error = bucket.download("a", &path, None).await.unwrap_err();
    assert!(matches!(error, BucketError::BrokenOff { .. }), "{error:?}");
    let expected = Some(Digest::of(b"other"));
    let error = bucket.download("a", &path, expected).await.unwrap_err();
    assert!(
        matches!(error, BucketError::DigestMismatch { .. }),
        "{error:?}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    let nested = folder.path().join("made/on/the/way.jpg");
    let expected = Some(Digest::of(b"whole"));
    bucket.download("a", &nested, expected).await.unwrap();
    assert_eq!(std::fs::read(&nested).unwrap(), b"whole");
    let beside = std::fs::read_dir(nested.parent().unwrap()).unwrap();
    assert_eq!(beside.count(), 1);

    // A file where the folder should be.
    let error = bucket
        .download("a", &nested.join("x"), None)
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, BucketError::Write { .. }), "{error:?}");
    assert!(text.contains("way.jpg") && text.contains("hint:"), "{text}");
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
