//! How requests come in: each within a time, and no longer than what its call needs.
//!
//! A message is decoded as a whole, so whoever could send long ones slowly, many at once, would have this process keep them.

use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use tonic::Status;
use tonic::body::Body;

/// How long a request may take to come.
pub(crate) const REQUEST_READ_MAX: Duration = Duration::from_mins(1);
/// What gRPC has before each message: whether it is compressed, and its length.
const MESSAGE_HEAD_BYTES: usize = 5;

/// The body of a request whose one message has so many bytes at most, and that comes within a time. `hint` is for who sends a
/// longer one.
pub(super) fn bounded(body: Body, bytes_max: usize, hint: &'static str, within: Duration) -> Body {
    let deadline = Box::pin(tokio::time::sleep(within));
    let begin = (body, deadline, 0_usize);
    let frames = stream::unfold(begin, move |(mut body, mut deadline, bytes)| async move {
        let frame: Result<Frame<Bytes>, Status> = tokio::select! {
            biased;
            frame = body.frame() => frame?,
            () = &mut deadline => Err(Status::deadline_exceeded("the request took too long to come")),
        };
        let data = frame.as_ref().ok().and_then(Frame::data_ref);
        let announced = data.filter(|_| bytes == 0).and_then(announced);
        let bytes = bytes.saturating_add(data.map_or(0, Bytes::len));
        let is_longer = bytes > bytes_max.saturating_add(MESSAGE_HEAD_BYTES)
            || announced.is_some_and(|announced| announced > bytes_max);
        let frame = if is_longer {
            Err(too_long(bytes_max, hint))
        } else {
            frame
        };
        Some((frame, (body, deadline, bytes)))
    });
    Body::new(StreamBody::new(frames))
}

/// How long a message is, by the beginning of it.
fn announced(data: &Bytes) -> Option<usize> {
    let (_, length) = data.first_chunk::<MESSAGE_HEAD_BYTES>()?.split_first()?;
    Some(u32::from_be_bytes(length.try_into().ok()?) as usize)
}

fn too_long(bytes_max: usize, hint: &str) -> Status {
    let most = bytes_max >> 10;
    Status::out_of_range(format!(
        "the request is longer than the {most} KiB that such a call may have\nhint: {hint}"
    ))
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use tonic::Code;

    use super::*;

    /// A body that brings these bytes and then nothing any more.
    fn slow(bytes: Vec<u8>) -> Body {
        let frame = Ok::<_, Status>(Frame::data(Bytes::from(bytes)));
        let frames = stream::once(std::future::ready(frame)).chain(stream::pending());
        Body::new(StreamBody::new(frames))
    }

    async fn next(body: &mut Body) -> Result<Frame<Bytes>, Status> {
        body.frame().await.unwrap()
    }

    #[tokio::test]
    async fn what_is_too_long_or_too_slow_ends_with_why() {
        let bounded = |body| bounded(body, 2048, "send less", Duration::from_millis(50));
        // Whether its length is told or not.
        for long in [vec![0; 2048 + 6], vec![0, 0, 0, 8, 1, 0]] {
            let status = next(&mut bounded(slow(long))).await.unwrap_err();
            assert_eq!(status.code(), Code::OutOfRange);
            let told = status.message();
            assert!(told.contains("2 KiB") && told.contains("send less"));
        }
        let mut slow = bounded(slow([vec![0, 0, 0, 8, 0], vec![0; 2048]].concat()));
        assert!(next(&mut slow).await.is_ok());
        let status = next(&mut slow).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded);
    }
}
