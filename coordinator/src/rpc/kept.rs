//! What is kept for as long as an answer lasts: the place of its caller, and the right to go on.

use bytes::Bytes;
use futures::future::{self, BoxFuture};
use futures::stream;
use http::HeaderMap;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use tonic::Status;
use tonic::body::Body;

/// The same body, which keeps a thing until it is taken as a whole or dropped. It ends early with the status that `until_over`
/// gives, if it does.
pub(super) fn kept(
    body: Body,
    until_over: Option<impl Future<Output = Status> + Send + 'static>,
    thing: impl Send + 'static,
) -> Body {
    let until_over: BoxFuture<'static, Status> = match until_over {
        Some(until_over) => Box::pin(until_over),
        None => Box::pin(future::pending()),
    };
    let begin = (Some(body), until_over, thing);
    let frames = stream::unfold(begin, |(body, mut until_over, thing)| async move {
        let mut body = body?;
        tokio::select! {
            biased;
            frame = body.frame() => Some((frame?, (Some(body), until_over, thing))),
            status = &mut until_over => Some((ending(&status), (None, until_over, thing))),
        }
    });
    Body::new(StreamBody::new(frames))
}

/// What ends a body with a status.
fn ending(status: &Status) -> Result<Frame<Bytes>, Status> {
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers)?;
    Ok(Frame::trailers(trailers))
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use tokio_stream::wrappers::ReceiverStream;
    use tonic::Code;

    use super::*;

    #[tokio::test]
    async fn a_stream_ends_with_the_reason_when_its_caller_is_let_in_no_more() {
        let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, Status>>(1);
        let (over, until_over) = tokio::sync::oneshot::channel::<()>();
        let frames = ReceiverStream::new(receiver).map(|chunk| chunk.map(Frame::data));
        let until_over = async {
            let _ = until_over.await;
            Status::unauthenticated("no more")
        };
        let body = Body::new(StreamBody::new(frames));
        let mut kept = kept(body, Some(until_over), ());
        sender.send(Ok(Bytes::from_static(b"one"))).await.unwrap();
        assert!(kept.frame().await.unwrap().unwrap().is_data());
        over.send(()).unwrap();
        let frame = kept.frame().await.unwrap().unwrap();
        let status = Status::from_header_map(frame.trailers_ref().unwrap()).unwrap();
        assert_eq!(
            (status.code(), status.message()),
            (Code::Unauthenticated, "no more")
        );
        assert!(kept.frame().await.is_none());
    }
}
