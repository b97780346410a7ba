//! How requests come in: each within a time, and no longer than what its call needs.
//!
//! A message is decoded as a whole, so whoever could send long ones slowly, many at once, would have this process keep them.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body;

/// How long a request may take to come.
pub(crate) const REQUEST_READ_MAX: Duration = Duration::from_mins(1);

/// The body of a request, bounded.
pub(super) struct Intake {
    body: Body,
    bytes_max: usize,
    bytes: usize,
    deadline: Pin<Box<Sleep>>,
}

impl Intake {
    /// The body of a request that has so many bytes at most, and comes within a time.
    pub(super) fn new(body: Body, bytes_max: usize, within: Duration) -> Self {
        Self {
            body,
            bytes_max,
            bytes: 0,
            deadline: Box::pin(tokio::time::sleep(within)),
        }
    }
}

impl http_body::Body for Intake {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) else {
            return this.deadline.as_mut().poll(context).map(|()| {
                Some(Err(Status::deadline_exceeded(
                    "the request took too long to come",
                )))
            });
        };
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            this.bytes = this.bytes.saturating_add(data.len());
            if this.bytes > this.bytes_max {
                let most = this.bytes_max >> 10;
                let text = format!(
                    "the request is longer than the {most} KiB that such a call may have\n\
                     hint: make several of it, or have an operator raise --cells-max"
                );
                return Poll::Ready(Some(Err(Status::out_of_range(text))));
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;
    use tonic::Code;

    use super::*;

    /// A body that brings so many bytes and then nothing any more.
    struct Slow(usize);

    impl http_body::Body for Slow {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            match std::mem::take(&mut self.0) {
                0 => Poll::Pending,
                bytes => Poll::Ready(Some(Ok(Frame::data(vec![0; bytes].into())))),
            }
        }
    }

    async fn next(intake: &mut Intake) -> Result<Frame<Bytes>, Status> {
        let frame = std::future::poll_fn(|context| Pin::new(&mut *intake).poll_frame(context));
        frame.await.unwrap()
    }

    #[tokio::test]
    async fn what_is_too_long_or_too_slow_ends_with_why() {
        let soon = Duration::from_millis(50);
        let mut long = Intake::new(Body::new(Slow(2049)), 2048, soon);
        let status = next(&mut long).await.unwrap_err();
        assert_eq!(status.code(), Code::OutOfRange);
        assert!(status.message().contains("2 KiB"), "{status}");
        let mut slow = Intake::new(Body::new(Slow(2048)), 2048, soon);
        assert!(next(&mut slow).await.is_ok());
        let status = next(&mut slow).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded);
    }
}
