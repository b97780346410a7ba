//! Galleries as they lie in the bucket.

use atelier_gallery::bucket::BucketError;
use atelier_gallery::contact_sheet;
use atelier_gallery::keys::GridKeys;
use atelier_proto::ids::GridId;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};

use super::Board;

/// The largest file that is handed out.
const BYTES_MAX: u64 = 256 << 20;
/// Files of a gallery that change, folders of those that do not, and the folder of what cells look like so far.
const FILES: [&str; 3] = ["index.html", "gallery.json", contact_sheet::FILE_NAME];
const FOLDERS: [&str; 3] = ["pictures", "thumbnails", "originals"];
const PREVIEWS: &str = "previews";

/// The page of a gallery.
pub(super) async fn gallery(State(board): State<Board>, Path(grid): Path<String>) -> Response {
    hand_out(&board, &grid, "index.html").await
}

/// A file of a gallery.
pub(super) async fn object(
    State(board): State<Board>,
    Path((grid, path)): Path<(String, String)>,
) -> Response {
    if path.is_empty() {
        return Redirect::to(&format!("/grids/{grid}/")).into_response();
    }
    hand_out(&board, &grid, &path).await
}

async fn hand_out(board: &Board, grid: &str, path: &str) -> Response {
    let not_found = || (StatusCode::NOT_FOUND, "there is no such file").into_response();
    let (Ok(grid), Some(content_type)) = (grid.parse::<GridId>(), content_type(path)) else {
        return not_found();
    };
    let key = format!("{}{path}", GridKeys::new(grid).prefix());
    match board.bucket.get(&key, BYTES_MAX).await {
        Ok(bytes) => {
            let mut headers = HeaderMap::new();
            let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
            set(CONTENT_TYPE, content_type);
            set(X_CONTENT_TYPE_OPTIONS, "nosniff");
            // A picture never changes after it is done.
            let is_final = !FILES.contains(&path) && !path.starts_with(PREVIEWS);
            set(
                CACHE_CONTROL,
                if is_final {
                    "private, max-age=86400"
                } else {
                    "no-cache"
                },
            );
            (headers, bytes).into_response()
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
    let is_plain = |part: &str| {
        let mut bytes = part.bytes();
        !part.is_empty()
            && !part.starts_with('.')
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    let is_file = FILES.contains(&path);
    let below = path.split_once('/');
    let is_below = below.is_some_and(|(folder, name)| {
        (FOLDERS.contains(&folder) || folder == PREVIEWS) && is_plain(name)
    });
    if !is_file && !is_below {
        return None;
    }
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
