//! How requests over HTTP show who sends them, and what those are told who are not let in or come too often.

use axum::response::{IntoResponse as _, Response};
use http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::Refused;
use super::oidc::OidcError;
use crate::limits::Exceeded;
use crate::metrics::Metrics;
use crate::store::StoreError;

/// The token of a request, if it has one.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// What is told to whoever is not let in.
pub(crate) fn refuse(refused: &Refused, text: String) -> Response {
    let code = match refused {
        Refused::Store(error) => return unavailable(error),
        Refused::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Refused::Oidc(OidcError::Keys { .. }) => StatusCode::SERVICE_UNAVAILABLE,
        Refused::Nobody
        | Refused::Unknown
        | Refused::Over(_)
        | Refused::Oidc(_)
        | Refused::Certificate(_) => StatusCode::UNAUTHORIZED,
    };
    let mut answer = (code, text).into_response();
    if code == StatusCode::UNAUTHORIZED {
        let bearer = HeaderValue::from_static("Bearer");
        answer.headers_mut().insert(WWW_AUTHENTICATE, bearer);
    }
    answer
}

/// What is told to whoever is beyond a limit.
pub(crate) fn beyond(metrics: &Metrics, exceeded: &Exceeded, text: String) -> Response {
    metrics.refused(exceeded.limit);
    let seconds = exceeded.after.as_secs() + 1;
    let after = [(RETRY_AFTER, seconds.to_string())];
    (StatusCode::TOO_MANY_REQUESTS, after, text).into_response()
}

/// What is told to everybody while the store does not answer.
pub(crate) fn unavailable(error: &StoreError) -> Response {
    tracing::warn!(%error, "the store does not answer");
    let text = "the database does not answer\n";
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_in_the_header_that_is_for_it() {
        let of = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(text));
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(of("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(of("bearer abc").as_deref(), Some("abc"));
        assert_eq!(of("Basic abc"), None);
        assert_eq!(of("abc"), None);
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
