//! What is refused for now, and when to come again: `RESOURCE_EXHAUSTED` with `google.rpc.RetryInfo` among its details, as
//! <https://google.aip.dev/194> has it.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// Longest wait that is told, or taken from whoever tells it.
pub const WAIT_MAX: Duration = Duration::from_secs(30);

/// A refusal of what may be asked for again after a while.
pub fn later(message: impl Into<String>, after: Duration) -> Status {
    let details = ErrorDetails::with_retry_info(Some(after.min(WAIT_MAX)));
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

/// After how long whoever refused wants to be asked again, if it said so.
pub fn hint(status: &Status) -> Option<Duration> {
    if status.code() != Code::ResourceExhausted {
        return None;
    }
    let wait = status.get_details_retry_info()?.retry_delay?;
    Some(wait.min(WAIT_MAX))
}

/// How long to wait before the next try, of the wait that a backoff has come to: not before whoever refused wants to be asked
/// again. What the backoff says comes on top, so that those who were refused together do not come back together.
pub fn hinted(status: &Status, wait: Option<Duration>) -> Option<Duration> {
    Some(wait? + hint(status).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_crosses_the_wire_and_is_waited_for_on_top_of_the_backoff() {
        let refused = later("too many calls", Duration::from_millis(1500));
        let headers = refused.into_http::<()>().into_parts().0.headers;
        let read = Status::from_header_map(&headers).unwrap();
        assert_eq!(read.message(), "too many calls");
        assert_eq!(hint(&read), Some(Duration::from_millis(1500)));
        let second = Duration::from_secs(1);
        assert_eq!(
            hinted(&read, Some(second)),
            Some(Duration::from_millis(2500))
        );
        assert_eq!(hinted(&read, None), None, "the backoff has come to its end");
        let plain = Status::resource_exhausted("full");
        assert_eq!(hinted(&plain, Some(second)), Some(second));
        assert_eq!(hint(&Status::unavailable("away")), None);
        let late = later("x", Duration::from_hours(1));
        assert_eq!(hint(&late), Some(WAIT_MAX));
    }
}
