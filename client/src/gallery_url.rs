//! A gallery named by its place: `s3://bucket/grids/<grid>`. Whoever may read the bucket needs no coordinator.

use atelier_proto::ids::GridId;
use atelier_proto::storage::Storage;

/// The region of buckets at endpoints that have none.
const REGION_DEFAULT: &str = "us-east-1";

/// Why a URL names no gallery.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{url:?} is not the URL of a gallery\nhint: write it as in s3://BUCKET/grids/GRID, with the grid's whole id"
)]
pub struct BadGalleryUrl {
    url: String,
}

/// The bucket and the grid of an `s3://` URL; `None` if the text is none. Region and endpoint are this machine's.
///
/// # Errors
/// When it names no gallery.
pub fn parse(text: &str) -> Result<Option<(Storage, GridId)>, BadGalleryUrl> {
    let Some(place) = text.strip_prefix("s3://") else {
        return Ok(None);
    };
    let bad = || BadGalleryUrl {
        url: text.to_owned(),
    };
    let (bucket, path) = place.split_once("/grids/").ok_or_else(bad)?;
    let (grid, _) = path.split_once('/').unwrap_or((path, ""));
    let grid = grid.parse().map_err(|_| bad())?;
    if bucket.is_empty() || bucket.contains('/') {
        return Err(bad());
    }
    let named = |names: [&str; 2]| {
        let mut values = names
            .into_iter()
            .filter_map(|name| std::env::var(name).ok());
        values.find(|value| !value.is_empty())
    };
    let endpoint = named(["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]);
    let storage = Storage {
        force_path_style: endpoint.is_some(),
        endpoint,
        region: named(["AWS_REGION", "AWS_DEFAULT_REGION"])
            .unwrap_or_else(|| REGION_DEFAULT.to_owned()),
        bucket: bucket.to_owned(),
        credentials: None,
    };
    Ok(Some((storage, grid)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gallery_is_named_by_bucket_and_grid() {
        let grid = GridId::generate();
        for end in ["", "/", "/index.html"] {
            let (storage, found) = parse(&format!("s3://galleries/grids/{grid}{end}"))
                .unwrap()
                .unwrap();
            assert_eq!((storage.bucket.as_str(), found), ("galleries", grid));
        }
        assert!(parse("Sunday ride").unwrap().is_none());
        assert!(parse(&format!("s3://a/b/grids/{grid}")).is_err());
        assert!(parse(&format!("s3:///grids/{grid}")).is_err());
        for bad in [
            "s3://galleries",
            "s3:///grids/x",
            "s3://a/grids/1234",
            "s3://a/b/grids/",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
