//! Tells a coordinator's answer from the end of the connection to it.

use std::error::Error;

use tonic::{Status, TimeoutExpired};

/// Whether the connection could not be had, or broke in the midst of the call: nobody is known to have answered, and the same
/// call may succeed later or elsewhere. Which code tonic gives that depends on how far the call was: `Unavailable`, `Unknown`,
/// `Internal` or `Cancelled`.
pub fn is_broken_off(status: &Status) -> bool {
    // A status that never was on the wire carries what broke as its source; so does one of a deadline that is over.
    let mut causes = std::iter::successors(status.source(), |&cause| cause.source()).peekable();
    causes.peek().is_some() && !causes.any(<dyn Error>::is::<TimeoutExpired>)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn what_somebody_answered_is_not_broken_off() {
        let broken = io::Error::from(io::ErrorKind::ConnectionReset);
        assert!(is_broken_off(&Status::from_error(Box::new(broken))));
        for answered in [Status::unknown("?"), Status::unavailable("closing")] {
            assert!(!is_broken_off(&answered), "{answered}");
        }
        let late = Status::from_error(Box::new(TimeoutExpired(())));
        assert!(!is_broken_off(&late), "{late}");
    }
}
