//! Fetches published weights: resumed where a broken download stopped, and trusted only by digest.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use md5::{Digest as _, Md5};
use reqwest::header::RANGE;
use reqwest::{Client, Response, StatusCode};
use tokio::io::AsyncWriteExt as _;

use crate::causes;

/// How often a process that waits for another one's fetch looks again.
const TURN_POLL_INTERVAL: Duration = Duration::from_millis(200);

/// A published file, pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name in the cache.
    pub file_name: String,
    /// Where it can be had; tried in this order.
    pub urls: Vec<String>,
    /// Its length.
    pub bytes: u64,
    /// Its MD5 digest in lower-case hex: the only one that its publisher names.
    pub md5: String,
}

impl Source {
    /// Keras' VGG16 without its classifier, as pinned in `keras.applications.vgg16`
    /// (<https://github.com/keras-team/keras/blob/master/keras/src/applications/vgg16.py>).
    pub fn keras_vgg16() -> Self {
        let file_name = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5";
        let folders = [
            "https://storage.googleapis.com/tensorflow/keras-applications/vgg16",
            "https://github.com/fchollet/deep-learning-models/releases/download/v0.1",
        ];
        Self {
            file_name: file_name.to_owned(),
            urls: folders
                .map(|folder| format!("{folder}/{file_name}"))
                .to_vec(),
            bytes: 58_889_256,
            md5: "6d6bbae143d832006294945121d1f1fc".to_owned(),
        }
    }
}

/// How long a fetch waits.
#[derive(Debug, Clone, Copy)]
pub struct FetchTimeouts {
    /// For a connection.
    pub connect: Duration,
    /// For the next bytes.
    pub silence: Duration,
}

impl FetchTimeouts {
    /// For a person who asked for the file and watches it come.
    pub const PATIENT: Self = Self {
        connect: Duration::from_secs(15),
        silence: Duration::from_secs(30),
    };
}

/// Why no weights were fetched. What had come stays beside the file, and the next fetch goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No address gave the file.
    #[error(
        "cannot fetch {url}: {problem}\n\
         hint: behind a proxy set HTTPS_PROXY; or fetch it elsewhere and name it with --weights FILE"
    )]
    Unreachable {
        /// The last address tried.
        url: String,
        /// What it answered.
        problem: String,
    },
    /// The file that came is another one.
    #[error(
        "{url} gave another file than the one that is pinned ({what}); it was thrown away\n\
         hint: fetch again; if it stays so, something between here and there changes it"
    )]
    NotTheFile {
        /// The address.
        url: String,
        /// Digest or length.
        what: String,
    },
    /// The cache cannot be written.
    #[error("cannot write {}: {source}\nhint: make room, or set XDG_CACHE_HOME", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Fetches `source` to `path` unless the right file is there already; `progress` hears how many bytes there are.
///
/// Proxies are taken from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.
pub async fn fetch(
    source: &Source,
    path: &Path,
    timeouts: FetchTimeouts,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<(), FetchError> {
    let write = |source| FetchError::Write {
        path: path.to_owned(),
        source,
    };
    if is_the_file(path, source).await {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        tokio::fs::create_dir_all(folder).await.map_err(write)?;
    }
    let _turn = wait_for_turn(path).await.map_err(write)?;
    // Another process may have fetched it meanwhile.
    if is_the_file(path, source).await {
        return Ok(());
    }
    let client = client(timeouts).map_err(|problem| FetchError::Unreachable {
        url: source.urls.first().cloned().unwrap_or_default(),
        problem: reason(&problem),
    })?;
    let part = path.with_added_extension("part");
    let mut last = None;
    for url in &source.urls {
        match fetch_from(&client, url, source, &part, progress).await {
            Ok(()) => return tokio::fs::rename(&part, path).await.map_err(write),
            Err(error @ FetchError::Write { .. }) => return Err(error),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| FetchError::Unreachable {
        url: source.file_name.clone(),
        problem: "it has no address".to_owned(),
    }))
}

/// One process at a time writes the partial file; the lock ends with the file that is returned, however the process ends.
async fn wait_for_turn(path: &Path) -> io::Result<std::fs::File> {
    let lock = std::fs::File::create(path.with_added_extension("lock"))?;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(std::fs::TryLockError::WouldBlock) => tokio::time::sleep(TURN_POLL_INTERVAL).await,
            Err(std::fs::TryLockError::Error(error)) => return Err(error),
        }
    }
}

fn client(timeouts: FetchTimeouts) -> reqwest::Result<Client> {
    Client::builder()
        .user_agent(concat!("atelier-node/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(timeouts.connect)
        .read_timeout(timeouts.silence)
        .build()
}

async fn fetch_from(
    client: &Client,
    url: &str,
    source: &Source,
    part: &Path,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<(), FetchError> {
    let have = tokio::fs::metadata(part)
        .await
        .map_or(0, |metadata| metadata.len());
    if have < source.bytes {
        let response = ask(client, url, have).await?;
        append(response, url, source, part, progress).await?;
    }
    if is_the_file(part, source).await {
        return Ok(());
    }
    // Bytes of another file: going on from them would never end well.
    let _ = tokio::fs::remove_file(part).await;
    Err(FetchError::NotTheFile {
        url: url.to_owned(),
        what: "its MD5 digest differs".to_owned(),
    })
}

async fn ask(client: &Client, url: &str, have: u64) -> Result<Response, FetchError> {
    let mut request = client.get(url);
    if have > 0 {
        request = request.header(RANGE, format!("bytes={have}-"));
    }
    request
        .send()
        .await
        .and_then(Response::error_for_status)
        .map_err(|error| unreachable(url, &error))
}

async fn append(
    mut response: Response,
    url: &str,
    source: &Source,
    part: &Path,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<(), FetchError> {
    let write = |source| FetchError::Write {
        path: part.to_owned(),
        source,
    };
    // A server that knows no ranges sends the whole file.
    let resumed = response.status() == StatusCode::PARTIAL_CONTENT;
    let mut options = tokio::fs::OpenOptions::new();
    let options = options
        .create(true)
        .write(true)
        .append(resumed)
        .truncate(!resumed);
    let mut file = options.open(part).await.map_err(write)?;
    let mut have = if resumed {
        file.metadata().await.map_err(write)?.len()
    } else {
        0
    };
    loop {
        let bytes = match response.chunk().await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => break,
            Err(error) => {
                // What has come so far is what the next fetch goes on from.
                file.flush().await.map_err(write)?;
                return Err(unreachable(url, &error));
            }
        };
        have += bytes.len() as u64;
        if have > source.bytes {
            drop(file);
            let _ = tokio::fs::remove_file(part).await;
            return Err(FetchError::NotTheFile {
                url: url.to_owned(),
                what: format!("it is longer than {} bytes", source.bytes),
            });
        }
        file.write_all(&bytes).await.map_err(write)?;
        progress(have);
    }
    file.flush().await.map_err(write)?;
    file.sync_all().await.map_err(write)?;
    if have < source.bytes {
        return Err(FetchError::Unreachable {
            url: url.to_owned(),
            problem: format!("it ended after {have} of {} bytes", source.bytes),
        });
    }
    Ok(())
}

async fn is_the_file(path: &Path, source: &Source) -> bool {
    match tokio::fs::read(path).await {
        Ok(bytes) if bytes.len() as u64 == source.bytes => {
            hex::encode(Md5::digest(&bytes)) == source.md5
        }
        Ok(_) | Err(_) => false,
    }
}

fn unreachable(url: &str, error: &reqwest::Error) -> FetchError {
    FetchError::Unreachable {
        url: url.to_owned(),
        problem: reason(error),
    }
}

/// The innermost cause, which is the one that a person can act on.
fn reason(error: &reqwest::Error) -> String {
    match error.status() {
        Some(status) => format!("the server answers {status}"),
        None if error.is_timeout() => "no answer in time".to_owned(),
        None => causes::root(error),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;

    /// Serves `content` over HTTP; the first answer breaks off after `first_bytes`. Says what ranges were asked for.
    async fn serve(
        content: Vec<u8>,
        first_bytes: usize,
    ) -> (String, tokio::task::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/vgg.h5", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let mut ranges = Vec::new();
            for limit in [first_bytes, usize::MAX] {
                let (mut connection, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4096];
                let length = connection.read(&mut request).await.unwrap();
                let request = String::from_utf8_lossy(&request[..length]).to_lowercase();
                let range = request
                    .lines()
                    .find_map(|line| line.strip_prefix("range: bytes="));
                ranges.push(range.unwrap_or("all").to_owned());
                let from: usize =
                    range.map_or(0, |range| range.trim_end_matches('-').parse().unwrap());
                let status = if from > 0 {
                    "206 Partial Content"
                } else {
                    "200 OK"
                };
                let body = &content[from..];
                let head = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                connection.write_all(head.as_bytes()).await.unwrap();
                connection
                    .write_all(&body[..limit.min(body.len())])
                    .await
                    .unwrap();
            }
            ranges
        });
        (url, server)
    }

    fn source(url: String, content: &[u8]) -> Source {
        Source {
            file_name: "vgg.h5".to_owned(),
            urls: vec![url],
            bytes: content.len() as u64,
            md5: hex::encode(Md5::digest(content)),
        }
    }

    const QUICK: FetchTimeouts = FetchTimeouts {
        connect: Duration::from_secs(5),
        silence: Duration::from_secs(5),
    };

    #[tokio::test]
    async fn a_broken_fetch_goes_on_where_it_stopped() {
        let content: Vec<u8> = (0..100_000_u32).map(|byte| (byte % 251) as u8).collect();
        let (url, server) = serve(content.clone(), 40_000).await;
        let source = source(url, &content);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache/vgg.h5");
        let broken = fetch(&source, &path, QUICK, &mut |_| {}).await.unwrap_err();
        assert!(matches!(broken, FetchError::Unreachable { .. }), "{broken}");
        assert!(!path.exists());
        let mut last = 0;
        fetch(&source, &path, QUICK, &mut |bytes| last = bytes)
            .await
            .unwrap();
        assert_eq!(last, source.bytes);
        assert_eq!(std::fs::read(&path).unwrap(), content);
        assert_eq!(server.await.unwrap(), ["all", "40000-"]);
        // Nobody listens any more, and nobody is asked.
        fetch(&source, &path, QUICK, &mut |_| {}).await.unwrap();
    }

    #[tokio::test]
    async fn another_file_than_the_pinned_one_is_thrown_away() {
        let (url, _server) = serve(vec![7; 1000], 1000).await;
        let source = source(url, &[8; 1000]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vgg.h5");
        let error = fetch(&source, &path, QUICK, &mut |_| {}).await.unwrap_err();
        assert!(matches!(error, FetchError::NotTheFile { .. }), "{error}");
        let left = std::fs::read_dir(folder.path()).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["vgg.h5.lock"]);
    }

    #[tokio::test]
    async fn two_at_once_wait_for_one_another_and_ask_once() {
        let content = vec![9; 1000];
        let (url, server) = serve(content.clone(), 1000).await;
        let source = source(url, &content);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vgg.h5");
        let (mut left, mut right) = (|_| {}, |_| {});
        let both = tokio::join!(
            fetch(&source, &path, QUICK, &mut left),
            fetch(&source, &path, QUICK, &mut right)
        );
        assert!(both.0.is_ok() && both.1.is_ok(), "{both:?}");
        assert_eq!(std::fs::read(&path).unwrap(), content);
        assert!(!server.is_finished(), "the server was asked a second time");
        server.abort();
    }

    #[tokio::test]
    async fn nobody_there_is_told_with_the_address_and_a_hint() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/vgg.h5", listener.local_addr().unwrap());
        drop(listener);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vgg.h5");
        let error = fetch(&source(url.clone(), b"x"), &path, QUICK, &mut |_| {})
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("cannot fetch {url}: ")) && text.contains("\nhint: "),
            "{text}"
        );
    }
}
