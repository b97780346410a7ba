//! Goal: what the bucket promises holds on our own S3 endpoint and on one that we did not write.

use anyhow::Context as _;
use atelier_gallery::bucket::{Bucket, BucketError, PutOutcome};
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
    let (stored, stored_metadata) = bucket.get_with_metadata("pictures/a b/é.jpg", 1000).await?;
    assert_eq!(stored, vec![winner; 1000]);
    assert_eq!(
        stored_metadata.get("seconds").map(String::as_str),
        Some("1.5")
    );
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

    let folder = tempfile::tempdir()?;
    let path = folder.path().join("picture");
    let wrong = bucket
        .download("pictures", &path, Some(Digest::of(b"other")))
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
    bucket
        .download("pictures", &path, Some(Digest::of(&content)))
        .await?;
    assert_eq!(std::fs::read(&path)?, content);
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
