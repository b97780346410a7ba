//! From where a browser acts: for a page of this board, or for one from elsewhere, which is refused.

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};

/// What a page from elsewhere is told.
pub(super) fn from_elsewhere() -> Response {
    let text = "this was asked by a page from elsewhere";
    (StatusCode::FORBIDDEN, text).into_response()
}

/// Whether a browser, which says so, acts for a page of this board. Other programs do not say.
pub(super) fn is_from_here(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else {
        return true;
    };
    let origin = origin
        .to_str()
        .ok()
        .and_then(|text| text.parse::<Uri>().ok());
    let authority = origin.as_ref().and_then(Uri::authority);
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    match (authority, host) {
        (Some(authority), Some(host)) => authority.as_str().eq_ignore_ascii_case(host),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_a_page_from_here_acts() {
        let from = |origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("localhost:7880"));
            if let Some(origin) = origin {
                headers.insert(ORIGIN, HeaderValue::from_static(origin));
            }
            is_from_here(&headers)
        };
        assert!(from(None));
        assert!(from(Some("http://localhost:7880")));
        for origin in [
            "http://localhost:7881",
            "http://evil.example",
            "null",
            "http://localhost:7880.evil.example",
        ] {
            assert!(!from(Some(origin)), "{origin}");
        }
    }
}
