//! The endpoint as clients see it: with the AWS SDK, and with bare HTTP where the SDK would not do that.

mod access;
mod listings;
mod multipart;
mod reads;
mod writes;

use std::path::Path;
use std::time::Duration;

use atelier_proto::clock::Clock;
use atelier_proto::storage::S3Credentials;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::presigning::PresigningConfig;
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{EmbeddedS3, S3Error};
use crate::listen::{Listener, Purpose};

const BUCKET: &str = "atelier";
const ACCESS_KEY: &str = "AKTEST";
const SECRET_KEY: &str = "a secret of the tests";

/// An endpoint that serves a folder of its own.
struct Endpoint {
    folder: TempDir,
    address: std::net::SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Endpoint {
    async fn start() -> Self {
        Self::over(tempfile::tempdir().unwrap(), Clock::system()).await
    }

    async fn over(folder: TempDir, clock: Clock) -> Self {
        let s3 = open(folder.path(), clock).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let bounds = crate::listen::Bounds {
            connections_max: 64,
            address_connections_max: 64,
            metrics: std::sync::Arc::default(),
        };
        let listener = Listener::new(listener, Purpose::S3, None, bounds);
        let task = tokio::spawn(s3.serve(vec![listener], shutdown.clone()));
        Self {
            folder,
            address,
            shutdown,
            task,
        }
    }

    async fn stop(self) -> TempDir {
        self.shutdown.cancel();
        self.task.await.unwrap();
        self.folder
    }

    fn client(&self) -> aws_sdk_s3::Client {
        self.client_with(SECRET_KEY)
    }

    fn client_with(&self, secret: &str) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(format!("http://{}", self.address))
            .force_path_style(true)
            .credentials_provider(Credentials::new(ACCESS_KEY, secret, None, None, "tests"))
            .build();
        aws_sdk_s3::Client::from_conf(config)
    }

    async fn put(&self, key: &str, body: &[u8]) -> String {
        let put = self
            .client()
            .put_object()
            .bucket(BUCKET)
            .key(key)
            .body(body.to_vec().into());
        put.send().await.unwrap().e_tag.unwrap()
    }

    async fn get(&self, key: &str) -> Vec<u8> {
        let got = self
            .client()
            .get_object()
            .bucket(BUCKET)
            .key(key)
            .send()
            .await
            .unwrap();
        got.body.collect().await.unwrap().to_vec()
    }

    async fn exists(&self, key: &str) -> bool {
        self.client()
            .head_object()
            .bucket(BUCKET)
            .key(key)
            .send()
            .await
            .is_ok()
    }

    /// How many files lie in the data folder.
    fn files(&self) -> usize {
        let folders = std::fs::read_dir(self.folder.path().join("data")).unwrap();
        folders
            .map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap().count())
            .sum()
    }

    /// Waits until that many files lie in the data folder; removal goes on after the answer.
    async fn settles_at(&self, files: usize) {
        for _ in 0..500 {
            if self.files() == files {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(self.files(), files);
    }

    /// Sends bytes as they are and reads until the other side closes.
    async fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await.unwrap();
        String::from_utf8_lossy(&response).into_owned()
    }

    /// A request without credentials for a path with its query.
    async fn bare(&self, method: &str, path: &str, headers: &str) -> String {
        let host = self.address;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}\r\n"
        );
        self.raw(request.as_bytes()).await
    }

    /// The same with a body, whose length the headers tell.
    async fn bare_with(&self, method: &str, path: &str, headers: &str, body: &str) -> String {
        let host = self.address;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}\r\n{body}"
        );
        self.raw(request.as_bytes()).await
    }

    /// Path and query of a presigned GET.
    async fn presigned(&self, key: &str, config: PresigningConfig) -> String {
        let get = self.client().get_object().bucket(BUCKET).key(key);
        let url = get.presigned(config).await.unwrap().uri().to_owned();
        url.strip_prefix(&format!("http://{}", self.address))
            .unwrap()
            .to_owned()
    }
}

async fn open(folder: &Path, clock: Clock) -> Result<EmbeddedS3, S3Error> {
    let credentials = S3Credentials {
        access_key_id: ACCESS_KEY.to_owned(),
        secret_access_key: SECRET_KEY.into(),
    };
    EmbeddedS3::open(folder, BUCKET, credentials, clock).await
}

/// Bytes that no codec and no accident produces.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    })
    .take(bytes)
    .collect()
}

/// The S3 error code of a refused request.
fn code<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(
    result: Result<T, aws_sdk_s3::error::SdkError<E>>,
) -> String {
    let error = result.unwrap_err();
    error
        .code()
        .unwrap_or_else(|| panic!("no code in {error:?}"))
        .to_owned()
}

#[tokio::test]
async fn a_restart_keeps_everything_and_forgets_what_nobody_finished() {
    let clock = Clock::manual(Timestamp::from_second(1_800_000_000).unwrap());
    let endpoint = Endpoint::over(tempfile::tempdir().unwrap(), clock.clone()).await;
    endpoint.put("kept", b"bytes").await;
    let upload = endpoint
        .client()
        .create_multipart_upload()
        .bucket(BUCKET)
        .key("left")
        .send()
        .await
        .unwrap();
    let part = endpoint
        .client()
        .upload_part()
        .bucket(BUCKET)
        .key("left")
        .part_number(1);
    part.upload_id(upload.upload_id.unwrap())
        .body(b"part".to_vec().into())
        .send()
        .await
        .unwrap();
    assert_eq!(endpoint.files(), 2);

    let endpoint = Endpoint::over(endpoint.stop().await, clock.clone()).await;
    assert_eq!(endpoint.get("kept").await, b"bytes");
    assert_eq!(endpoint.files(), 2, "an upload of today survives a restart");

    clock.advance(Duration::from_hours(25));
    let endpoint = Endpoint::over(endpoint.stop().await, clock).await;
    let head = endpoint
        .client()
        .head_object()
        .bucket(BUCKET)
        .key("kept")
        .send()
        .await
        .unwrap();
    assert_eq!(head.last_modified.unwrap().secs(), 1_800_000_000);
    assert_eq!(endpoint.files(), 1);
}

#[tokio::test]
async fn a_folder_has_one_process_and_no_newer_index() {
    let endpoint = Endpoint::start().await;
    let error = open(endpoint.folder.path(), Clock::system())
        .await
        .unwrap_err();
    assert!(matches!(error, S3Error::InUse { .. }));
    assert!(
        error
            .to_string()
            .contains("is already in use by another coordinator"),
        "{error}"
    );

    let folder = endpoint.stop().await;
    let path = folder.path().join("index.db");
    let pool = sqlx::SqlitePool::connect(path.to_str().unwrap())
        .await
        .unwrap();
    sqlx::query("PRAGMA user_version = 99")
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
    let error = open(folder.path(), Clock::system()).await.unwrap_err();
    assert!(
        matches!(error, S3Error::NewerIndex { found: 99, .. }),
        "{error}"
    );
}
