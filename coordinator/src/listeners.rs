//! The sockets of a coordinator: bound by whoever starts it, and what is told of them when they are served.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

use crate::config::{BucketConfig, Config};
use crate::error::RunError;
use crate::listen::{Bounds, Listener, Purpose, ServerTls};

/// The sockets that a coordinator serves on, bound by the caller.
#[derive(Debug)]
pub struct Listeners {
    /// For gRPC.
    pub grpc: TcpListener,
    /// For the embedded S3 endpoint, if there is one.
    pub s3: Option<TcpListener>,
    /// For this process' own way to it, where that speaks TLS: whether one's own certificate is for a name by which one
    /// reaches oneself is nobody's concern.
    pub s3_local: Option<TcpListener>,
    /// For the board, if there is one.
    pub board: Option<TcpListener>,
    /// For metrics and probes, if they have one of their own.
    pub metrics: Option<TcpListener>,
}

impl Listeners {
    /// Binds the addresses of a configuration.
    pub async fn bind(config: &Config) -> Result<Self, RunError> {
        let s3 = match &config.bucket {
            BucketConfig::Embedded { listen, .. } => Some(listen_on(*listen, "--s3-listen").await?),
            BucketConfig::External { .. } => None,
        };
        let board = match config.board {
            Some(address) => Some(listen_on(address, "--board-listen").await?),
            None => None,
        };
        let s3_local = match (&s3, &config.tls) {
            (Some(_), Some(_)) => {
                let address = (Ipv4Addr::LOCALHOST, 0).into();
                Some(listen_on(address, "--s3-listen").await?)
            }
            _ => None,
        };
        let metrics = match config.metrics {
            Some(address) => Some(listen_on(address, "--metrics-listen").await?),
            None => None,
        };
        let grpc = listen_on(config.listen, "--listen").await?;
        Ok(Self {
            grpc,
            s3,
            s3_local,
            board,
            metrics,
        })
    }
}

async fn listen_on(address: SocketAddr, option: &'static str) -> Result<TcpListener, RunError> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|source| RunError::Listen {
        address,
        option,
        source,
    })
}

/// What a coordinator serves, when it does.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Ready {
    /// URL of its gRPC.
    pub grpc: String,
    /// URL of its S3 endpoint, if that is embedded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3: Option<String>,
    /// URL of its board, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub board: Option<String>,
    /// URL of its metrics, if they have an address of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<String>,
}

/// What every listener has in common.
pub(crate) struct Doors {
    pub(crate) tls: Option<ServerTls>,
    pub(crate) bounds: Bounds,
}

impl Doors {
    /// Accepts at a socket.
    pub(crate) fn open(&self, tcp: TcpListener, purpose: Purpose) -> Listener {
        Listener::new(tcp, purpose, self.tls.clone(), self.bounds.clone())
    }

    /// Accepts what this process asks of its own S3 endpoint, without TLS.
    pub(crate) fn open_for_itself(&self, tcp: TcpListener) -> Listener {
        // All of it is one address, this process' own.
        let bounds = Bounds {
            address_connections_max: self.bounds.connections_max,
            ..self.bounds.clone()
        };
        Listener::new(tcp, Purpose::S3Local, None, bounds)
    }

    /// What is served at these sockets.
    pub(crate) fn ready(
        &self,
        grpc: &TcpListener,
        s3: Option<String>,
        board: Option<&TcpListener>,
        metrics: Option<&TcpListener>,
    ) -> Result<Ready, RunError> {
        let metrics = metrics.map(|metrics| self.url(metrics)).transpose()?;
        Ok(Ready {
            grpc: self.url(grpc)?,
            s3,
            board: board.map(|board| self.url(board)).transpose()?,
            metrics: metrics.map(|url| format!("{url}/metrics")),
        })
    }

    /// The URL of a socket.
    pub(crate) fn url(&self, tcp: &TcpListener) -> Result<String, RunError> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        Ok(format!("{scheme}://{}", tcp.local_addr()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_is_taken_is_told_with_its_option() {
        let taken = listen_on((Ipv4Addr::LOCALHOST, 0).into(), "--listen").await;
        let address = taken.as_ref().unwrap().local_addr().unwrap();
        let error = listen_on(address, "--board-listen").await.unwrap_err();
        let error = error.to_string();
        assert!(error.contains(&address.to_string()), "{error}");
        assert!(
            error.ends_with("another address with --board-listen"),
            "{error}"
        );
    }
}
