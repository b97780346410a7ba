//! The board's own pages, with what they load.

use std::sync::LazyLock;

use atelier_gallery::page::PALETTE;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse as _, Response};

/// What a page may load: its own files.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The board's own files, by their paths.
pub(super) const FILES: [(&str, &str, &str); 11] = [
    ("/", HTML, include_str!("page/index.html")),
    ("/board.js", SCRIPT, include_str!("page/board.js")),
    ("/dom.js", SCRIPT, include_str!("page/dom.js")),
    ("/feed.js", SCRIPT, include_str!("page/feed.js")),
    ("/session.js", SCRIPT, include_str!("page/session.js")),
    ("/login", HTML, include_str!("page/login.html")),
    ("/login.js", SCRIPT, include_str!("page/login.js")),
    ("/live.js", SCRIPT, include_str!("page/live.js")),
    ("/submit", HTML, include_str!("page/submit.html")),
    ("/submit.js", SCRIPT, include_str!("page/submit.js")),
    ("/inputs.js", SCRIPT, include_str!("page/inputs.js")),
];

/// In the colours of galleries.
pub(super) static STYLE: LazyLock<String> =
    LazyLock::new(|| format!("{PALETTE}{}", include_str!("page/board.css")));

/// A file of the board itself.
pub(super) fn page(content_type: &'static str, text: &'static str) -> Response {
    let mut headers = HeaderMap::new();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(CONTENT_TYPE, content_type);
    set(CACHE_CONTROL, "no-cache");
    set(CONTENT_SECURITY_POLICY, POLICY);
    set(REFERRER_POLICY, "no-referrer");
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    (headers, text).into_response()
}
