//! HTTP servers of stand-ins.

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A server at a free port of this machine, until it is dropped.
#[derive(Debug)]
pub struct Served {
    /// Where it is.
    pub url: String,
    serving: JoinHandle<()>,
}

impl Served {
    /// Serves.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start(router: Router) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let serving = tokio::spawn(async move {
            // Only the end of the test ends it.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url, serving })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
