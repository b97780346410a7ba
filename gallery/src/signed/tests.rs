//! What becomes of signed requests at servers that refuse, break off, are busy, think them too old or are not there. What whole
//! S3 servers make of them is tested with the programs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use atelier_proto::clock::Clock;
use atelier_proto::ids::{CellId, Digest, GridId};
use bytes::Bytes;

use super::signer::Signer;
use super::*;
use crate::bucket::tests::bucket_at;
use crate::bucket::tests::server::{Server, answer, error_body};
use crate::bucket::{BucketError, PutOutcome};

/// Signs, and counts how often it was asked and for how much.
#[derive(Debug)]
struct Counting {
    signer: Signer,
    calls: AtomicUsize,
    requests: AtomicUsize,
}

#[async_trait::async_trait]
impl Sign for Counting {
    async fn sign(&self, wanted: &[Wanted]) -> Result<Signatures, SignError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.requests.fetch_add(wanted.len(), Ordering::SeqCst);
        self.signer.sign(wanted).await
    }
}

impl Counting {
    fn counts(&self) -> (usize, usize) {
        let count = |of: &AtomicUsize| of.load(Ordering::SeqCst);
        (count(&self.calls), count(&self.requests))
    }
}

/// The bucket at a URL, with whoever signs for it.
async fn at(endpoint: &str, url_duration: Duration) -> (SignedBucket, Arc<Counting>) {
    let bucket = bucket_at(endpoint).await;
    let counting = Arc::new(Counting {
        signer: Signer::new(bucket, Clock::system(), url_duration).unwrap(),
        calls: AtomicUsize::default(),
        requests: AtomicUsize::default(),
    });
    let bucket = SignedBucket::new(Http::new().unwrap(), counting.clone());
    (bucket, counting)
}

async fn of(server: &Server) -> (SignedBucket, Arc<Counting>) {
    at(&server.endpoint, Duration::from_mins(5)).await
}

#[tokio::test]
async fn nobody_there_is_told_by_the_endpoint_and_never_by_the_signature() {
    let endpoint = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let (bucket, _) = at(&endpoint, Duration::from_mins(5)).await;
    let error = bucket.get("inputs/a", 9).await.unwrap_err();
    assert!(
        matches!(error, BucketError::Unreachable { .. }),
        "{error:?}"
    );
    assert!(error.is_passing());
    let texts = [
        error.to_string(),
        format!("{error:?}"),
        format!("{bucket:?}"),
    ];
    assert!(
        texts[0].contains(&endpoint) && texts[0].contains("refused"),
        "{texts:?}"
    );
    for text in texts {
        assert!(
            !text.contains("Signature") && !text.contains("very secret"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn what_is_missing_is_told_apart() {
    let no_key = answer("404 Not Found", &error_body("NoSuchKey"));
    let no_bucket = answer("404 Not Found", &error_body("NoSuchBucket"));
    let headless = answer("404 Not Found", "");
    let server = Server::with(&[no_key, no_bucket, headless]).await;
    let (bucket, _) = of(&server).await;
    let error = bucket.get("a", 9).await.unwrap_err();
    assert!(
        matches!(&error, BucketError::NotFound { key, bucket, .. } if key == "a" && bucket == "gallery"),
        "{error:?}"
    );
    let error = bucket.get("a", 9).await.unwrap_err();
    assert!(
        matches!(error, BucketError::NoSuchBucket { .. }),
        "{error:?}"
    );
    assert_eq!(bucket.head("a").await.unwrap(), None);
    bucket.delete("a").await.unwrap();
    let error = bucket.check().await.unwrap_err();
    assert!(
        matches!(error, BucketError::NoSuchBucket { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_busy_server_is_asked_again_and_then_told_and_a_full_one_at_once() {
    let busy = answer("503 Slow Down", &error_body("SlowDown"));
    let server = Server::with(&[busy.clone(), answer("200 OK", "x")]).await;
    assert_eq!(of(&server).await.0.get("a", 9).await.unwrap(), b"x");
    let server = Server::with(&[busy]).await;
    let (bucket, sign) = of(&server).await;
    let error = bucket.get("a", 9).await.unwrap_err();
    assert!(matches!(error, BucketError::Busy { .. }), "{error:?}");
    assert!(error.is_passing());
    assert_eq!((server.heard(), sign.counts()), (3, (1, 1)));

    let full = answer(
        "507 Insufficient Storage",
        &error_body("InsufficientStorage"),
    );
    let server = Server::with(&[full]).await;
    let content = Content::of_type("image/jpeg");
    let put = of(&server)
        .await
        .0
        .put("a", Bytes::from_static(b"b"), content)
        .await;
    assert!(matches!(put, Err(BucketError::Full { .. })), "{put:?}");
    assert_eq!(server.heard(), 1);
}

#[tokio::test]
async fn a_request_that_is_too_old_is_signed_anew_once() {
    let expired = answer(
        "403 Forbidden",
        "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>",
    );
    let ended = answer("400 Bad Request", &error_body("ExpiredToken"));
    for old in [&expired, &ended, &answer("403 Forbidden", "")] {
        let server = Server::with(&[old.clone(), answer("200 OK", "x")]).await;
        let (bucket, sign) = of(&server).await;
        assert_eq!(bucket.get("a", 9).await.unwrap(), b"x");
        assert_eq!((server.heard(), sign.counts()), (2, (2, 2)));
    }
    let server = Server::with(&[expired]).await;
    let (bucket, sign) = of(&server).await;
    let error = bucket.get("a", 9).await.unwrap_err();
    assert!(matches!(error, BucketError::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains("what was signed"), "{error}");
    assert_eq!((server.heard(), sign.counts()), (2, (2, 2)));
}

#[tokio::test]
async fn what_is_put_is_sent_as_it_was_signed_and_another_writer_is_waited_for() {
    let conflict = answer("409 Conflict", &error_body("ConditionalRequestConflict"));
    let there = answer("412 Precondition Failed", &error_body("PreconditionFailed"));
    let server = Server::with(&[conflict.clone(), conflict, there]).await;
    let (bucket, sign) = of(&server).await;
    let content = Content::of_type("image/jpeg")
        .of_bytes(Digest::of(b"x"), 1)
        .with_metadata(&[("network", "vgg16 é\n".to_owned())]);
    let put = bucket.put_if_absent("a", Bytes::from_static(b"x"), content);
    assert_eq!(put.await.unwrap(), PutOutcome::AlreadyThere);
    assert_eq!((server.heard(), sign.counts()), (3, (1, 1)));
    let request = server.request(2).to_lowercase();
    for header in [
        "if-none-match: *\r\n",
        "content-type: image/jpeg\r\n",
        "content-length: 1\r\n",
        "x-amz-checksum-sha256: ",
        "x-amz-meta-network: vgg16 ??\r\n",
    ] {
        assert!(request.contains(header), "{header} in {request}");
    }
}

#[tokio::test]
async fn what_was_signed_for_many_at_once_is_sent_by_whichever_right() {
    let server = Server::with(&[answer("200 OK", "x")]).await;
    let (bucket, sign) = of(&server).await;
    let grid = GridId::generate();
    let cell = |place| bucket.of_cell(CellId { grid, place }, 1);
    let keys = ["a", "b"].map(|key| cell(0).wanted(Method::Get, key));
    bucket.prepare(&keys).await.unwrap();
    bucket.prepare(&keys).await.unwrap();
    assert_eq!(sign.counts(), (1, 2));
    for (place, key) in [(0, "a"), (1, "b"), (1, "a")] {
        cell(place).get(key, 9).await.unwrap();
    }
    assert_eq!(sign.counts(), (1, 2));
    // Each thing that is put is signed for itself.
    for bytes in ["x", "y"] {
        let content = Content::of_type("image/png").of_bytes(Digest::of(bytes.as_bytes()), 1);
        bucket
            .put_if_absent("a", bytes.into(), content)
            .await
            .unwrap();
    }
    assert_eq!(sign.counts(), (3, 4));

    let many: Vec<Wanted> = (0..600)
        .map(|number| bucket.wanted(Method::Head, format!("{number}")))
        .collect();
    bucket.prepare(&many).await.unwrap();
    assert_eq!(sign.counts(), (6, 604));
}

#[tokio::test]
async fn a_request_that_is_about_to_end_is_not_begun() {
    let server = Server::with(&[answer("200 OK", "x")]).await;
    let (bucket, sign) = at(&server.endpoint, Duration::from_secs(1)).await;
    bucket.get("a", 9).await.unwrap();
    tokio::time::sleep(Duration::from_millis(900)).await;
    bucket.get("a", 9).await.unwrap();
    assert_eq!(sign.counts(), (2, 2));
}

#[tokio::test]
async fn a_download_goes_on_where_it_broke_off() {
    let short =
        "HTTP/1.1 200 OK\r\nConnection: close\r\nETag: \"e\"\r\nContent-Length: 9\r\n\r\nhalf"
            .to_owned();
    let rest = answer("206 Partial Content", " more");
    let server = Server::with(&[short.clone(), rest, answer("200 OK", "")]).await;
    let (bucket, _) = of(&server).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made/on/the/way.jpg");
    let expected = Some(Digest::of(b"half more"));
    bucket.download("a", &path, expected).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"half more");
    let request = server.request(1).to_lowercase();
    assert!(
        request.contains("range: bytes=4-\r\n") && request.contains("if-match: \"e\"\r\n"),
        "{request}"
    );
    let beside = std::fs::read_dir(path.parent().unwrap()).unwrap();
    assert_eq!(beside.count(), 1);

    // It is another object meanwhile; and one that has no tag cannot be known again.
    let changed = answer("412 Precondition Failed", "");
    let untold = short.replace("ETag: \"e\"\r\n", "");
    for answers in [[short, changed], [untold, answer("200 OK", "")]] {
        let server = Server::with(&answers).await;
        let to = folder.path().join("b");
        let error = of(&server)
            .await
            .0
            .download("a", &to, None)
            .await
            .unwrap_err();
        assert!(matches!(error, BucketError::BrokenOff { .. }), "{error:?}");
        assert!(!to.exists());
    }
}

#[tokio::test]
async fn an_object_that_is_another_or_has_nowhere_to_go_leaves_nothing_behind() {
    let server = Server::with(&[answer("200 OK", "whole")]).await;
    let (bucket, _) = of(&server).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture.jpg");
    let error = bucket
        .download("a", &path, Some(Digest::of(b"other")))
        .await;
    let error = error.unwrap_err();
    assert!(
        matches!(error, BucketError::DigestMismatch { .. }),
        "{error:?}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    std::fs::write(&path, "a file where the folder should be").unwrap();
    let error = bucket
        .download("a", &path.join("x"), None)
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, BucketError::Write { .. }), "{error:?}");
    assert!(
        text.contains("picture.jpg") && text.contains("hint:"),
        "{text}"
    );
}

#[tokio::test]
async fn more_bytes_than_wanted_are_not_taken() {
    let chunked = "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
                   6\r\n123456\r\n6\r\n123456\r\n0\r\n\r\n";
    let server = Server::with(&[answer("200 OK", "0123456789"), chunked.to_owned()]).await;
    let (bucket, _) = of(&server).await;
    for _ in 0..2 {
        let error = bucket.get("a", 9).await.unwrap_err();
        assert!(
            matches!(error, BucketError::TooLarge { bytes_max: 9, .. }),
            "{error:?}"
        );
    }
    assert_eq!(bucket.get("a", 12).await.unwrap(), b"123456123456");
}

#[tokio::test]
async fn links_end_when_it_is_said() {
    let (bucket, sign) = at("http://127.0.0.1:1", Duration::from_mins(5)).await;
    let week = Duration::from_hours(7 * 24);
    let keys = (0..300).map(|number| format!("pictures/{number}.png"));
    let links = bucket.links(keys, week).await.unwrap();
    assert_eq!((links.urls.len(), sign.counts()), (300, (2, 300)));
    assert!(links.urls[299].contains("/pictures/299.png?"));
    assert!(
        links
            .urls
            .iter()
            .all(|url| url.contains("X-Amz-Expires=604800&"))
    );
    assert!(!links.may_end_earlier);
    let left = links.end_at.duration_since(Clock::system().now());
    assert!((604_700..=604_800).contains(&left.as_secs()), "{left:?}");
}
