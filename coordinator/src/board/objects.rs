//! Galleries as they lie in the bucket.
//!
//! Whoever can write into the bucket can write a page, and it is shown from where the board is. So it may load what lies beside it
//! and nothing else: neither ask the board for something, nor open a window or a frame of it, nor send a form there.

use atelier_gallery::bucket::BucketError;
use atelier_gallery::keys::{GridKeys, PREVIEWS_FOLDER, is_in_gallery};
use atelier_proto::ids::GridId;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use futures::TryStreamExt as _;

use super::Board;
use super::session::Visitor;
use crate::identity::http::unavailable;
use crate::scope;
use crate::store::StoreError;

/// The largest file that is handed out.
const BYTES_MAX: u64 = 256 << 20;

/// The page of a gallery.
pub(super) async fn gallery(
    State(board): State<Board>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    Path(grid): Path<String>,
) -> Response {
    hand_out(&board, &visitor, &headers, &grid, "index.html").await
}

/// A file of a gallery.
pub(super) async fn object(
    State(board): State<Board>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    Path((grid, path)): Path<(String, String)>,
) -> Response {
    if path.is_empty() {
        return Redirect::to(&format!("/grids/{grid}/")).into_response();
    }
    hand_out(&board, &visitor, &headers, &grid, &path).await
}

/// What a file of a gallery may do. Its page runs its script and loads what lies under its own folder: `sandbox` keeps it from
/// windows, forms and frames. It stays of the board's origin, because a browser sends no session to a page that is of none.
fn policy(content_type: &str, grid: GridId, host: Option<&str>) -> String {
    if !content_type.starts_with("text/html") {
        return "default-src 'none'; sandbox".to_owned();
    }
    let host = host.and_then(|host| host.parse::<Authority>().ok());
    // Nobody without a host comes by a browser.
    let folder = host.map_or("'none'".to_owned(), |host| format!("{host}/grids/{grid}/"));
    format!(
        "sandbox allow-scripts allow-same-origin allow-downloads; default-src 'none'; script-src 'unsafe-inline'; \
         style-src 'unsafe-inline'; img-src {folder} data: blob:; connect-src {folder}; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

async fn hand_out(
    board: &Board,
    visitor: &Visitor,
    asked: &HeaderMap,
    grid: &str,
    path: &str,
) -> Response {
    let not_found = || (StatusCode::NOT_FOUND, "there is no such file").into_response();
    let (Ok(grid), Some(content_type)) = (grid.parse::<GridId>(), content_type(path)) else {
        return not_found();
    };
    match scope::own(&board.ledger, grid, &visitor.admitted.caller).await {
        Ok(()) => {}
        Err(StoreError::UnknownGrid(_)) => return not_found(),
        Err(error) => return unavailable(&error),
    }
    let key = format!("{}{path}", GridKeys::new(grid).prefix());
    match board.bucket.stream(&key, BYTES_MAX).await {
        Ok(incoming) => {
            let mut headers = HeaderMap::new();
            let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
            set(CONTENT_TYPE, content_type);
            set(X_CONTENT_TYPE_OPTIONS, "nosniff");
            set(REFERRER_POLICY, "no-referrer");
            // A picture never changes after it is done.
            let folder = path.split_once('/').map(|(folder, _)| folder);
            let is_final = folder.is_some_and(|folder| folder != PREVIEWS_FOLDER);
            set(
                CACHE_CONTROL,
                if is_final {
                    "private, max-age=86400"
                } else {
                    "no-cache"
                },
            );
            let host = asked.get(HOST).and_then(|host| host.to_str().ok());
            // An authority and an id have no character that a header has not.
            if let Ok(policy) = policy(content_type, grid, host).parse() {
                headers.insert(CONTENT_SECURITY_POLICY, policy);
            }
            if incoming.length > 0 {
                headers.insert(CONTENT_LENGTH, incoming.length.into());
            }
            // Part by part: as many as look at large pictures, slowly, would have all of them in memory.
            let parts = incoming.parts.inspect_err(move |error| {
                tracing::warn!(%error, key, "a file of a gallery is shown in part");
            });
            (headers, Body::from_stream(parts)).into_response()
        }
        Err(BucketError::NotFound { .. }) => not_found(),
        Err(error) => {
            tracing::warn!(%error, key, "a file of a gallery cannot be shown");
            let text = "the bucket does not answer; the coordinator's log says why";
            (StatusCode::BAD_GATEWAY, text).into_response()
        }
    }
}

/// What a file of a gallery is; `None`: it is none.
fn content_type(path: &str) -> Option<&'static str> {
    if !is_in_gallery(path) {
        return None;
    }
    let is_file = !path.contains('/');
    let (_, extension) = path.rsplit_once('.')?;
    match extension {
        "html" if is_file => Some("text/html; charset=utf-8"),
        "json" if is_file => Some("application/json"),
        "jpg" => Some("image/jpeg"),
        "png" => Some("image/png"),
        "tiff" | "tif" => Some("image/tiff"),
        "webp" => Some("image/webp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_a_gallery_reaches_its_own_folder_and_nothing_else() {
        let grid = GridId::generate();
        let html = "text/html; charset=utf-8";
        let page = policy(html, grid, Some("atelier.example:7880"));
        let folder = format!("connect-src atelier.example:7880/grids/{grid}/;");
        assert!(page.contains(&folder), "{page}");
        assert!(
            !page.contains("'self'") && !page.contains("allow-popups"),
            "{page}"
        );
        for host in [None, Some("a b; script-src *"), Some("")] {
            assert!(
                policy(html, grid, host).contains("connect-src 'none'"),
                "{host:?}"
            );
        }
        assert!(policy("image/png", grid, None).ends_with("sandbox"));
    }

    #[test]
    fn only_files_of_galleries_are_handed_out() {
        for path in [
            "index.html",
            "gallery.json",
            "contact-sheet.jpg",
            "pictures/a--b.png",
            "thumbnails/a.large.jpg",
            "previews/a--b.jpg",
        ] {
            assert!(content_type(path).is_some(), "{path}");
        }
        for path in [
            "checkpoints/a.safetensors",
            "pictures/../gallery.json",
            "pictures/.hidden.jpg",
            "pictures/a/b.jpg",
            "pictures/evil.html",
            "pictures/evil.svg",
            "other.html",
            "",
            "pictures/",
            "originals",
        ] {
            assert!(content_type(path).is_none(), "{path}");
        }
    }
}
