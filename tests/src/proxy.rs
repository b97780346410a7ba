//! A TCP proxy that does what networks do: it delays, it cuts, and it holds its tongue.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Bytes forwarded at once.
const CHUNK_BYTES: usize = 16 << 10;

/// The shortest chunk that is damaged: shorter ones are heads of answers alone.
const DAMAGED_BYTES_MIN: usize = 2_000;

/// What becomes of connections, those that are there and new ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Everything is forwarded.
    Fair,
    /// Everything is forwarded so much later, chunk by chunk.
    Slow(Duration),
    /// Connections are cut, and new ones as soon as they are made.
    Cut,
    /// Connections stay, and nothing passes: half-open, as when a cable is pulled.
    Silent,
    /// What is asked arrives, and the connection breaks off before the answer.
    Deaf,
    /// Everything is forwarded, the last byte of each chunk of an answer damaged if there are many.
    Damaging,
    /// Every request is answered with this HTTP status, and arrives nowhere.
    Refusing(u16),
}

/// A proxy to one address.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    weather: watch::Sender<Weather>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A proxy to what an URL names, in fair weather.
    ///
    /// # Errors
    /// When the URL names no address.
    pub async fn to(url: &str) -> anyhow::Result<Self> {
        let upstream: SocketAddr = url
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .parse()
            .with_context(|| format!("{url} names no address"))?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (weather, _) = watch::channel(Weather::Fair);
        let sender = weather.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, upstream, sender.subscribe()));
            }
        });
        Ok(Self {
            address,
            weather,
            accepting,
        })
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes the weather, for every connection.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.weather.send_replace(Weather::Cut);
    }
}

async fn forward(client: TcpStream, upstream: SocketAddr, mut weather: watch::Receiver<Weather>) {
    let now = *weather.borrow_and_update();
    if let Weather::Refusing(status) = now {
        // Whoever has gone needs no answer.
        let _ = refuse(client, status).await;
        return;
    }
    let Ok(server) = TcpStream::connect(upstream).await else {
        return;
    };
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = server.into_split();
    let there = copy(client_reads, server_writes, weather.clone(), false);
    let back = copy(server_reads, client_writes, weather.clone(), true);
    tokio::select! {
        // One half that ends lets the other one end by itself.
        _ = async { tokio::try_join!(there, back) } => {}
        _ = weather.wait_for(|now| matches!(now, Weather::Cut | Weather::Refusing(_))) => {}
    }
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
    is_answer: bool,
) -> std::io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = from.read(&mut chunk).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        let now = *weather.borrow_and_update();
        match now {
            Weather::Deaf if is_answer => return Err(std::io::ErrorKind::ConnectionAborted.into()),
            Weather::Damaging if is_answer && read >= DAMAGED_BYTES_MIN => chunk[read - 1] ^= 1,
            Weather::Fair
            | Weather::Cut
            | Weather::Deaf
            | Weather::Damaging
            | Weather::Refusing(_) => {}
            Weather::Slow(by) => tokio::time::sleep(by).await,
            Weather::Silent => {
                let _ = weather.wait_for(|now| *now != Weather::Silent).await;
            }
        }
        to.write_all(&chunk[..read]).await?;
    }
}

/// Answers the first request of a connection, and closes it.
async fn refuse(mut client: TcpStream, status: u16) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut chunk = [0; 1024];
        let read = client.read(&mut chunk).await?;
        if read == 0 {
            return Ok(());
        }
        head.extend_from_slice(&chunk[..read]);
    }
    let answer = format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    client.write_all(answer.as_bytes()).await?;
    client.shutdown().await?;
    // What is still sent is taken, so that the answer is read before the connection is gone.
    tokio::io::copy(&mut client, &mut tokio::io::sink()).await?;
    Ok(())
}
