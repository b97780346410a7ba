//! What is kept for as long as an answer lasts: the place of its caller, and the right to go on.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

/// A body that may end early, with a status of its own, and that keeps something until it is taken as a whole or dropped.
pub(super) struct Kept<Thing> {
    /// `None`: it has ended.
    body: Option<Body>,
    /// `None`: it never ends early.
    until_over: Option<Pin<Box<dyn Future<Output = Status> + Send>>>,
    _thing: Thing,
}
impl<Thing> Kept<Thing> {
    /// A body that keeps a thing, and ends early with the status that `until_over` gives, if it does.
    pub(super) fn new(
        body: Body,
        until_over: Option<impl Future<Output = Status> + Send + 'static>,
        thing: Thing,
    ) -> Self {
        let until_over =
            until_over.map(|it| Box::pin(it) as Pin<Box<dyn Future<Output = _> + Send>>);
        Self {
            body: Some(body),
            until_over,
            _thing: thing,
        }
    }
}

impl<Thing: Unpin> http_body::Body for Kept<Thing> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        let Some(until_over) = &mut this.until_over else {
            return Poll::Pending;
        };
        let Poll::Ready(status) = until_over.as_mut().poll(context) else {
            return Poll::Pending;
        };
        this.body = None;
        let mut trailers = HeaderMap::new();
        let ended = status.add_header(&mut trailers);
        Poll::Ready(Some(ended.map(|()| Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(SizeHint::default, Body::size_hint)
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use http_body::Body as _;
    use tokio_stream::wrappers::ReceiverStream;
    use tonic::Code;

    use super::*;

    #[tokio::test]
    async fn a_stream_ends_with_the_reason_when_its_caller_is_let_in_no_more() {
        let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, Status>>(1);
        let (over, until_over) = tokio::sync::oneshot::channel::<()>();
        let frames = ReceiverStream::new(receiver).map(|chunk| chunk.map(Frame::data));
        let ending = async {
            let _ = until_over.await;
            Status::unauthenticated("no more")
        };
        let body = Body::new(StreamBody(Box::pin(frames)));
        let mut kept = Kept::new(body, Some(ending), ());
        let mut next =
            async || std::future::poll_fn(|context| Pin::new(&mut kept).poll_frame(context)).await;
        sender.send(Ok(Bytes::from_static(b"one"))).await.unwrap();
        assert!(next().await.unwrap().unwrap().is_data());
        over.send(()).unwrap();
        let trailers = next().await.unwrap().unwrap().into_trailers().unwrap();
        let status = Status::from_header_map(&trailers).unwrap();
        assert_eq!(
            (status.code(), status.message()),
            (Code::Unauthenticated, "no more")
        );
        assert!(next().await.is_none());
    }

    struct StreamBody<S>(Pin<Box<S>>);

    impl<S: futures::Stream<Item = Result<Frame<Bytes>, Status>>> http_body::Body for StreamBody<S> {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            self.0.as_mut().poll_next(context)
        }
    }
}
