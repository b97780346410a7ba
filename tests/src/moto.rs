//! moto: an AWS that we did not write, on this machine. It checks no signatures and starts no machines; what it keeps of
//! buckets, groups and stacks is as AWS has it, but for what [`crate::aws`] stands in for.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use atelier_proto::storage::{S3Credentials, Storage};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::programs::PATIENCE;

/// The region that everything is in.
pub const REGION: &str = "us-east-1";

/// A server of moto's, which ends with this.
#[derive(Debug)]
pub struct Moto {
    /// Its URL.
    pub endpoint: String,
    http: reqwest::Client,
    _process: Child,
}

impl Moto {
    /// Starts one at a free port.
    pub async fn start(program: &Path) -> anyhow::Result<Self> {
        let port = free_port()?;
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        Self::started(command, port).await
    }

    /// Starts one at a free port that has been taught what it lacks for stacks of our template
    /// (`deploy/tests/moto_server.py`).
    pub async fn start_for_stacks(program: &Path) -> anyhow::Result<Self> {
        let python = program.with_file_name("python");
        let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/tests/moto_server.py");
        let port = free_port()?;
        let mut command = Command::new(python);
        command
            .arg("-B")
            .arg(server)
            .args(["--port", &port.to_string()]);
        Self::started(command, port).await
    }

    async fn started(mut command: Command, port: u16) -> anyhow::Result<Self> {
        let process = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let answering = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let answering = tokio::time::timeout(PATIENCE, answering);
        answering.await.context("moto does not start")?;
        Ok(Self {
            endpoint: format!("http://127.0.0.1:{port}"),
            http: reqwest::Client::builder().no_proxy().build()?,
            _process: process,
        })
    }

    /// A bucket of it, as our programs are told of one.
    pub fn storage(&self, bucket: &str) -> Storage {
        Storage {
            endpoint: Some(self.endpoint.clone()),
            region: REGION.to_owned(),
            bucket: bucket.to_owned(),
            force_path_style: true,
            credentials: Some(S3Credentials {
                access_key_id: "test".to_owned(),
                secret_access_key: "test".to_owned().into(),
            }),
        }
    }

    /// What a program needs in its environment to find it.
    pub fn environment(&self) -> [(&str, &str); 4] {
        environment(&self.endpoint)
    }

    /// Makes a bucket.
    pub async fn create_bucket(&self, name: &str) -> anyhow::Result<()> {
        let request = self.http.put(format!("{}/{name}", self.endpoint));
        let answer = request
            .header("Authorization", credential("s3"))
            .send()
            .await?;
        ensure!(answer.status().is_success(), "{}", answer.text().await?);
        Ok(())
    }

    /// Calls a service that takes forms and answers in XML.
    pub async fn call(
        &self,
        service: &str,
        version: &str,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> anyhow::Result<String> {
        let mut form = vec![("Action", action), ("Version", version)];
        form.extend(parameters);
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let request = self.http.post(&self.endpoint);
        let answer = request
            .header("Authorization", credential(service))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(body)
            .send()
            .await?;
        let is_well = answer.status().is_success();
        let text = answer.text().await?;
        ensure!(is_well, "{action}: {text}");
        Ok(text)
    }
}

/// What a program needs in its environment to find an AWS at this URL, which takes any keys.
pub fn environment(endpoint: &str) -> [(&str, &str); 4] {
    [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ]
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// By which moto tells to what service a call goes.
fn credential(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=none"
    )
}

/// What stands between each pair of tags of this name.
pub fn between<'a>(xml: &'a str, tag: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let parts = xml.split(&*open).skip(1);
    parts
        .filter_map(|part| part.split_once(&*close))
        .map(|(inside, _)| inside)
        .collect()
}
