//! Who may do what: a valid signature, everything in the one bucket; none, nothing but the question of CORS.

use std::time::SystemTime;

use super::*;

#[tokio::test]
async fn a_wrong_secret_and_no_credentials_at_all_are_refused() {
    let endpoint = Endpoint::start().await;
    endpoint.put("k", b"bytes").await;
    let get = endpoint
        .client_with("another secret")
        .get_object()
        .bucket(BUCKET)
        .key("k");
    assert_eq!(code(get.send().await), "SignatureDoesNotMatch");
    for (method, path) in [
        ("GET", "/atelier/k"),
        ("PUT", "/atelier/k"),
        ("GET", "/atelier"),
        ("GET", "/"),
    ] {
        let answer = endpoint.bare(method, path, "content-length: 0\r\n").await;
        assert!(
            answer.starts_with("HTTP/1.1 403 ") && answer.contains("AccessDenied"),
            "{answer}"
        );
    }
    assert_eq!(endpoint.get("k").await, b"bytes");
}

#[tokio::test]
async fn a_presigned_url_reads_one_object_for_a_while() {
    let endpoint = Endpoint::start().await;
    endpoint.put("k", b"bytes").await;
    endpoint.put("other", b"secret").await;
    let minute = Duration::from_mins(1);
    let path = endpoint
        .presigned("k", PresigningConfig::expires_in(minute).unwrap())
        .await;
    let answer = endpoint.bare("GET", &path, "").await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("bytes"),
        "{answer}"
    );
    assert!(
        answer.contains("access-control-allow-origin: *"),
        "{answer}"
    );

    let tampered = path.replace("/atelier/k?", "/atelier/other?");
    assert_ne!(tampered, path);
    let answer = endpoint.bare("GET", &tampered, "").await;
    assert!(
        answer.contains("SignatureDoesNotMatch") && !answer.contains("secret"),
        "{answer}"
    );
    let answer = endpoint.bare("PUT", &path, "content-length: 0\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");

    let past = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let config = PresigningConfig::builder()
        .start_time(past)
        .expires_in(minute)
        .build()
        .unwrap();
    let path = endpoint.presigned("k", config).await;
    let answer = endpoint.bare("GET", &path, "").await;
    assert!(
        answer.starts_with("HTTP/1.1 403 ") && answer.contains("expired"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_presigned_url_does_what_was_signed_and_nothing_beside() {
    let endpoint = Endpoint::start().await;
    endpoint.put("secret", b"of somebody else").await;
    let minute = PresigningConfig::expires_in(Duration::from_mins(1)).unwrap();
    let put = endpoint.client().put_object().bucket(BUCKET).key("k");
    let put = put.content_type("image/png").if_none_match("*");
    let request = put.presigned(minute).await.unwrap();
    let url: http::Uri = request.uri().parse().unwrap();
    let path = url.path_and_query().unwrap().as_str();
    let lines = request
        .headers()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    let signed = lines.collect::<Vec<_>>().concat();
    assert!(signed.contains("image/png"), "{signed}");
    let length = "content-length: 3\r\n";
    let send = async |headers: String| endpoint.bare_with("PUT", path, &headers, "png").await;
    for header in [
        "x-amz-copy-source: /atelier/secret\r\n",
        "x-amz-meta-network: another\r\n",
        "X-AMZ-ACL: public-read\r\n",
    ] {
        let answer = send(format!("{signed}{length}{header}")).await;
        assert!(
            answer.starts_with("HTTP/1.1 403 ") && answer.contains("not signed"),
            "{answer}"
        );
    }
    let html = signed.replace("image/png", "text/html");
    for changed in [html, signed.replace("if-none-match: *\r\n", "")] {
        assert_ne!(changed, signed);
        let answer = send(format!("{changed}{length}")).await;
        assert!(answer.contains("SignatureDoesNotMatch"), "{answer}");
    }
    let more = path.replace('?', "?partNumber=1&uploadId=x&");
    let answer = endpoint
        .bare_with("PUT", &more, &format!("{signed}{length}"), "png")
        .await;
    assert!(answer.contains("SignatureDoesNotMatch"), "{answer}");
    assert!(!endpoint.exists("k").await);
    let answer = send(format!("{signed}{length}")).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(endpoint.get("k").await, b"png");
}

#[tokio::test]
async fn a_page_of_another_origin_may_read_and_not_write() {
    let endpoint = Endpoint::start().await;
    let asked = "origin: http://elsewhere\r\naccess-control-request-method: GET\r\n\
                 access-control-request-headers: range\r\n";
    let answer = endpoint.bare("OPTIONS", "/atelier/k", asked).await;
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    assert!(
        answer.contains("access-control-allow-methods: GET, HEAD\r\n"),
        "{answer}"
    );
    assert!(
        answer.contains("access-control-allow-headers: range\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn the_old_signature_and_forms_are_refused() {
    let endpoint = Endpoint::start().await;
    let old = endpoint
        .bare("GET", "/atelier/k", "authorization: AWS AKTEST:c2ln\r\n")
        .await;
    assert!(old.contains("AWS4-HMAC-SHA256"), "{old}");
    let old = endpoint
        .bare(
            "GET",
            "/atelier/k?AWSAccessKeyId=AKTEST&Signature=a&Expires=1",
            "",
        )
        .await;
    assert!(old.contains("AWS4-HMAC-SHA256"), "{old}");
    let form = "content-type: multipart/form-data; boundary=b\r\ncontent-length: 0\r\n";
    let form = endpoint.bare("POST", "/atelier", form).await;
    assert!(form.starts_with("HTTP/1.1 501 "), "{form}");
}

#[tokio::test]
async fn there_is_one_bucket_and_it_is_there_already() {
    let endpoint = Endpoint::start().await;
    let client = endpoint.client();
    client.head_bucket().bucket(BUCKET).send().await.unwrap();
    let buckets = client.list_buckets().send().await.unwrap();
    assert_eq!(buckets.buckets()[0].name(), Some(BUCKET));
    assert_eq!(
        code(client.create_bucket().bucket(BUCKET).send().await),
        "BucketAlreadyOwnedByYou"
    );
    assert_eq!(
        code(client.create_bucket().bucket("another").send().await),
        "AccessDenied"
    );
    let put = client
        .put_object()
        .bucket("another")
        .key("k")
        .body(b"x".to_vec().into());
    assert_eq!(code(put.send().await), "NoSuchBucket");
    assert_eq!(endpoint.files(), 0);
}
