//! HTTP/1.1 on what a listener accepts: bounded in time, and shut down in order.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Listener;

/// What requests under way are given at shutdown.
const GRACE_PERIOD: Duration = Duration::from_secs(10);

/// Serves until shutdown, then waits for what is under way. Requests have their [`super::Peer`] among their extensions.
///
/// `head_read_max` is how long the head of a request may take, and how long a connection may be idle before it.
pub async fn serve<Answering, Answered>(
    mut listener: Listener,
    head_read_max: Duration,
    answer: impl Fn(Request<Incoming>) -> Answering + Clone + Send + 'static,
    shutdown: CancellationToken,
) where
    Answering: Future<Output = Result<Response<Answered>, Infallible>> + Send + 'static,
    Answered:
        Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    // Telling the versions of HTTP apart would wait without a limit.
    let mut http = auto::Builder::new(TokioExecutor::new()).http1_only();
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head_read_max);
    let http = Arc::new(http);
    let (graceful, tasks, abandon) = (
        GracefulShutdown::new(),
        TaskTracker::new(),
        CancellationToken::new(),
    );
    let what = listener.what();
    while let Some(stream) = shutdown.run_until_cancelled(listener.accept()).await {
        let (answer, peer) = (answer.clone(), stream.peer().clone());
        let answers = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            answer(request)
        });
        let connection = http
            .serve_connection(TokioIo::new(stream), answers)
            .into_owned();
        let connection = graceful.watch(connection);
        let abandon = abandon.clone();
        tasks.spawn(async move {
            if let Some(Err(error)) = abandon.run_until_cancelled(connection).await {
                tracing::debug!(what, %error, "a connection broke");
            }
        });
    }

    drop(listener);
    tasks.close();
    if tokio::time::timeout(GRACE_PERIOD, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!(
            what,
            connections = tasks.len(),
            "requests were abandoned at shutdown"
        );
    }
    abandon.cancel();
    tasks.wait().await;
}
