//! Goal: what the bucket promises holds on our own S3 endpoint and on one that we did not write.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use atelier_gallery::bucket::{Bucket, BucketError, PutOutcome};
use atelier_gallery::signed::signer::Signer;
use atelier_gallery::signed::{Content, Http, SignedBucket};
use atelier_proto::clock::Clock;
use atelier_proto::ids::Digest;
use atelier_tests::cluster::Cluster;
use atelier_tests::moto::Moto;
use atelier_tests::tools;

/// Every promise that the rest of Atelier stands on.
async fn keeps_its_promises(bucket: &Bucket) -> anyhow::Result<()> {
    bucket.check().await?;
    let content = bytes::Bytes::from_static(b"a picture");
    let metadata = [("seconds", "1.5".to_owned())];
    let put = async |content: bytes::Bytes| {
        bucket
            .put_if_absent("pictures/a b/é.jpg", content, "image/jpeg", &metadata)
            .await
    };
    // Eight at once: one is first, and its bytes stay.
    let writers = (0..8_u8).map(|writer| put(vec![writer; 1000].into()));
    let outcomes = futures::future::try_join_all(writers).await?;
    let created = outcomes
        .iter()
        .filter(|outcome| **outcome == PutOutcome::Created)
        .count();
    assert_eq!(created, 1);
    let winner = outcomes
        .iter()
        .position(|outcome| *outcome == PutOutcome::Created);
    let winner = winner.context("one")? as u8;
    assert_eq!(put(content.clone()).await?, PutOutcome::AlreadyThere);
    let stored = bucket.get("pictures/a b/é.jpg", 1000).await?;
    assert_eq!(stored, vec![winner; 1000]);
    let too_large = bucket.get("pictures/a b/é.jpg", 999).await;
    assert!(
        matches!(too_large, Err(BucketError::TooLarge { .. })),
        "{too_large:?}"
    );

    bucket
        .put("pictures", content.clone(), "text/plain", None)
        .await?;
    bucket
        .put("pictures", content.clone(), "text/plain", None)
        .await?;
    let listed: Vec<String> = bucket
        .list("pictures")
        .await?
        .into_iter()
        .map(|object| object.key)
        .collect();
    assert_eq!(listed, ["pictures", "pictures/a b/é.jpg"]);
    assert_eq!(
        bucket.head("pictures").await?.map(|object| object.bytes),
        Some(9)
    );
    assert!(bucket.head("absent").await?.is_none());
    assert!(matches!(
        bucket.get("absent", 9).await,
        Err(BucketError::NotFound { .. })
    ));

    bucket
        .put("half", content.clone(), "text/plain", None)
        .await?;
    for _ in 0..2 {
        bucket.delete("half").await?;
        assert!(bucket.head("half").await?.is_none());
    }

    let page = async |after: &str, most| bucket.page("pictures", after, most).await;
    let (first, has_more) = page("", 1).await?;
    assert_eq!((first[0].key.as_str(), has_more), ("pictures", true));
    let (rest, has_more) = page("pictures", 1).await?;
    assert_eq!((rest[0].bytes, has_more), (1000, false));
    keeps_them_without_keys(bucket).await
}

/// The same promises to those who only have what somebody else signed.
async fn keeps_them_without_keys(bucket: &Bucket) -> anyhow::Result<()> {
    let signer = Signer::new(bucket.clone(), Clock::system(), Duration::from_mins(1))?;
    let handed = SignedBucket::new(Http::new()?, Arc::new(signer));
    handed.check().await?;
    let key = "signed/a b/é.jpg";
    let put = async |bytes: Vec<u8>| {
        let content = Content::of_type("image/jpeg")
            .of_bytes(Digest::of(&bytes), bytes.len() as u64)
            .with_metadata(&[("device", "cuda:0  H100".to_owned())]);
        handed.put_if_absent(key, bytes.into(), content).await
    };
    let outcomes = (0..8_u8).map(|writer| put(vec![writer; 1000]));
    let outcomes = futures::future::try_join_all(outcomes).await?;
    let mut created = outcomes.iter().enumerate();
    let mut created = created
        .by_ref()
        .filter(|(_, it)| **it == PutOutcome::Created);
    let (winner, _) = created.next().context("one")?;
    assert_eq!(created.next(), None);
    let (stored, metadata) = handed.get_with_metadata(key, 1000).await?;
    assert_eq!(stored, vec![winner as u8; 1000]);
    assert_eq!(
        metadata.get("device").map(String::as_str),
        Some("cuda:0 H100")
    );
    let too_large = handed.get(key, 999).await;
    assert!(
        matches!(too_large, Err(BucketError::TooLarge { .. })),
        "{too_large:?}"
    );
    let (ours, theirs) = (bucket.head(key).await?, handed.head(key).await?);
    assert_eq!(ours, theirs);
    assert_eq!(theirs.map(|object| object.bytes), Some(1000));

    let preview = Content {
        cache_control: Some("no-cache".to_owned()),
        ..Content::of_type("image/jpeg")
    };
    for bytes in ["one", "two"] {
        handed.put("preview", bytes.into(), preview.clone()).await?;
    }
    assert_eq!(handed.get("preview", 9).await?, b"two");
    for _ in 0..2 {
        handed.delete("preview").await?;
        assert_eq!(handed.head("preview").await?, None);
    }
    let absent = handed.get("preview", 9).await;
    assert!(
        matches!(absent, Err(BucketError::NotFound { .. })),
        "{absent:?}"
    );

    let folder = tempfile::tempdir()?;
    let path = folder.path().join("picture");
    let wrong = handed
        .download(key, &path, Some(Digest::of(b"other")))
        .await;
    assert!(
        matches!(wrong, Err(BucketError::DigestMismatch { .. })),
        "{wrong:?}"
    );
    assert_eq!(
        std::fs::read_dir(folder.path())?.count(),
        0,
        "nothing half-made"
    );
    handed
        .download(key, &path, Some(Digest::of(&stored)))
        .await?;
    assert_eq!(std::fs::read(&path)?, stored);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_endpoint_keeps_them() -> anyhow::Result<()> {
    let cluster = Cluster::coordinator().await?;
    keeps_its_promises(&cluster.bucket().await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_keeps_them() -> anyhow::Result<()> {
    let Some(moto) = tools::moto() else {
        return Ok(());
    };
    let server = Moto::start(&moto).await?;
    server.create_bucket("gallery").await?;
    keeps_its_promises(&Bucket::connect(&server.storage("gallery")).await?).await?;
    let absent = Bucket::connect(&server.storage("absent"))
        .await?
        .check()
        .await;
    assert!(
        matches!(absent, Err(BucketError::NoSuchBucket { .. })),
        "{absent:?}"
    );
    Ok(())
}
