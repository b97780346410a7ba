//! gRPC as no library would speak it: streams of HTTP/2 by hand.

use std::time::Duration;

use anyhow::Context as _;
use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request};
use tokio::net::TcpStream;

/// What is sent at once of a body that is not finished.
const PIECE_BYTES: usize = 64 << 10;
/// How long somebody who stalls waits for an answer, before the next.
const STALL_DURATION: Duration = Duration::from_hours(1);

/// A connection.
#[derive(Debug, Clone)]
pub struct Connection {
    streams: SendRequest<Bytes>,
}

impl Connection {
    /// A connection to an address.
    ///
    /// # Errors
    /// When it is not taken.
    pub async fn open(address: &str) -> anyhow::Result<Self> {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let (streams, connection) = h2::client::handshake(tcp).await?;
        tokio::spawn(connection);
        Ok(Self { streams })
    }

    /// A call, and the code that it ends with.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn call(&self, path: &str, token: &str, message: &[u8]) -> anyhow::Result<i32> {
        let mut streams = self.streams.clone().ready().await?;
        let (answer, mut body) = streams.send_request(request(path, token)?, false)?;
        body.send_data(framed(message, message.len()), true)?;
        code(answer.await?).await
    }

    /// A call that is taken back at once.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn reset(&self, path: &str, token: &str, message: &[u8]) -> anyhow::Result<()> {
        let mut streams = self.streams.clone().ready().await?;
        let (answer, mut body) = streams.send_request(request(path, token)?, false)?;
        body.send_data(framed(message, message.len()), true)?;
        body.send_reset(Reason::CANCEL);
        drop(answer);
        tokio::task::yield_now().await;
        Ok(())
    }

    /// A call whose message is to have so many bytes, of which fewer are sent; and the code that it ends with.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn stall(
        &self,
        path: &str,
        token: &str,
        bytes: usize,
        sent: usize,
    ) -> anyhow::Result<i32> {
        let mut streams = self.streams.clone().ready().await?;
        let (answer, mut body) = streams.send_request(request(path, token)?, false)?;
        let sending = async {
            body.send_data(framed(&[], bytes), false)?;
            let mut left = sent;
            while left > 0 {
                body.reserve_capacity(PIECE_BYTES);
                let room = std::future::poll_fn(|context| body.poll_capacity(context)).await;
                let piece = room.context("the stream ended")??.min(left);
                body.send_data(Bytes::from(vec![0; piece]), false)?;
                left -= piece;
            }
            tokio::time::sleep(STALL_DURATION).await;
            anyhow::Ok(())
        };
        tokio::select! {
            ended = answer => code(ended?).await,
            ended = sending => ended.map(|()| 0),
        }
    }
}

fn request(path: &str, token: &str) -> anyhow::Result<Request<()>> {
    Ok(Request::post(format!("http://localhost{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {token}"))
        .body(())?)
}

/// A message as gRPC frames it, of which there may be less than is said.
fn framed(message: &[u8], bytes: usize) -> Bytes {
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(bytes).unwrap_or(u32::MAX));
    framed.put_slice(message);
    framed.freeze()
}

/// What a call ended with.
async fn code(answer: http::Response<RecvStream>) -> anyhow::Result<i32> {
    let status = |headers: &HeaderMap| {
        let value = headers.get("grpc-status")?;
        value.to_str().ok()?.parse().ok()
    };
    if let Some(code) = status(answer.headers()) {
        return Ok(code);
    }
    let mut body = answer.into_body();
    while let Some(piece) = body.data().await {
        let bytes = piece?.len();
        body.flow_control().release_capacity(bytes)?;
    }
    let trailers = body.trailers().await?;
    trailers.as_ref().and_then(status).context("no status")
}
