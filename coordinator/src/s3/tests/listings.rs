//! Listings are complete, in the order of bytes, and paged without gaps or repetitions.

use aws_sdk_s3::types::{CommonPrefix, EncodingType, Object};

use super::*;

#[tokio::test]
async fn any_key_is_a_key_and_a_folder_may_be_a_file_too() {
    let endpoint = Endpoint::start().await;
    let long = "k".repeat(1000);
    let wide = "é".repeat(512);
    let keys = [
        "dir",
        "dir/",
        "dir/child",
        "dir/child/of/it",
        "../../escape",
        "a b+c%20&=?#",
        "猫/💥",
        "ends with space ",
        long.as_str(),
        wide.as_str(),
    ];
    for key in keys {
        endpoint.put(key, key.as_bytes()).await;
    }
    for key in keys {
        assert_eq!(endpoint.get(key).await, key.as_bytes());
    }
    let mut sorted = keys.to_vec();
    sorted.sort_unstable_by_key(|key| key.as_bytes());
    let listed = endpoint
        .client()
        .list_objects_v2()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    let listed: Vec<&str> = listed.contents().iter().filter_map(Object::key).collect();
    assert_eq!(listed, sorted);
    let too_long = endpoint
        .client()
        .put_object()
        .bucket(BUCKET)
        .key("k".repeat(1025));
    assert_eq!(code(too_long.send().await), "KeyTooLongError");
}

/// An endpoint with a small tree of objects.
async fn tree() -> Endpoint {
    let endpoint = Endpoint::start().await;
    for key in ["a", "b/1", "b/2", "b/3", "c", "d/x/1", "d/y/2", "e", "é/1"] {
        endpoint.put(key, b"1").await;
    }
    endpoint
}

const ROLLED: [&str; 6] = ["a", "b/", "c", "d/", "e", "é/"];

fn names(contents: &[Object], prefixes: &[CommonPrefix]) -> Vec<String> {
    let keys = contents.iter().filter_map(Object::key);
    let prefixes = prefixes.iter().filter_map(CommonPrefix::prefix);
    let mut names: Vec<String> = keys.chain(prefixes).map(str::to_owned).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn pages_with_a_delimiter_cover_every_key_once() {
    let endpoint = tree().await;
    for page_size in 1..=7 {
        let (mut seen, mut token) = (Vec::new(), None);
        loop {
            let list = endpoint
                .client()
                .list_objects_v2()
                .bucket(BUCKET)
                .delimiter("/");
            let list = list.max_keys(page_size).set_continuation_token(token);
            let page = list.send().await.unwrap();
            assert!(page.key_count().unwrap() <= page_size);
            seen.extend(names(page.contents(), page.common_prefixes()));
            token = page.next_continuation_token;
            assert_eq!(token.is_some(), page.is_truncated.unwrap());
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen, ROLLED, "pages of {page_size}");
    }
}

#[tokio::test]
async fn pages_of_the_first_version_go_on_after_a_marker_that_is_a_prefix() {
    let endpoint = tree().await;
    for page_size in 1..=7 {
        let (mut seen, mut marker) = (Vec::new(), None);
        loop {
            let list = endpoint
                .client()
                .list_objects()
                .bucket(BUCKET)
                .delimiter("/");
            let page = list
                .max_keys(page_size)
                .set_marker(marker)
                .send()
                .await
                .unwrap();
            seen.extend(names(page.contents(), page.common_prefixes()));
            marker = page.next_marker;
            if marker.is_none() {
                break;
            }
        }
        assert_eq!(seen, ROLLED, "pages of {page_size}");
    }
}

#[tokio::test]
async fn a_listing_begins_and_ends_where_it_is_told() {
    let endpoint = tree().await;
    let client = endpoint.client();
    let list = || client.list_objects_v2().bucket(BUCKET);

    let below = list().prefix("d/").delimiter("/").send().await.unwrap();
    assert_eq!(
        names(below.contents(), below.common_prefixes()),
        ["d/x/", "d/y/"]
    );
    let rest = list().start_after("d/x/1").send().await.unwrap();
    assert_eq!(names(rest.contents(), &[]), ["d/y/2", "e", "é/1"]);
    let nothing = list().max_keys(0).send().await.unwrap();
    assert_eq!(
        (nothing.key_count(), nothing.is_truncated()),
        (Some(0), Some(false))
    );

    let encoded = list()
        .encoding_type(EncodingType::Url)
        .prefix("é")
        .send()
        .await
        .unwrap();
    let object = &encoded.contents()[0];
    assert_eq!((object.key(), object.size()), (Some("%C3%A9/1"), Some(1)));
    assert_eq!(object.e_tag(), Some("\"c4ca4238a0b923820dcc509a6f75849b\""));
}
