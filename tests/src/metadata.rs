//! Stubs of what AWS is to an instance: its metadata service (`IMDSv2`), and the one call of its Auto Scaling group.
//!
//! They are written after AWS' documentation, and prove nothing about AWS itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The instance that the stub is of.
pub const INSTANCE_ID: &str = "i-0123456789abcdef0";
/// Its type.
pub const INSTANCE_TYPE: &str = "g6e.xlarge";
/// Its availability zone.
pub const ZONE: &str = "eu-central-1a";

const TTL_HEADER: &str = "x-aws-ec2-metadata-token-ttl-seconds";
const TOKEN_HEADER: &str = "x-aws-ec2-metadata-token";
/// Largest head or body that is read.
const BYTES_MAX: usize = 1 << 16;

/// What a stub was asked.
struct Asked {
    method: String,
    path: String,
    /// By lower-case names.
    headers: BTreeMap<String, String>,
    body: String,
}

/// What it answers.
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Answer {
    fn new(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }
}

/// A stub of the metadata service of a spot instance, without any notices at first. It insists on tokens.
#[derive(Debug)]
pub struct MetadataStub {
    /// What `AWS_EC2_METADATA_SERVICE_ENDPOINT` is to say.
    pub url: String,
    known: Arc<Mutex<Known>>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Known {
    items: BTreeMap<&'static str, String>,
    /// How often all tokens were forgotten: others are of no use.
    generation: u32,
}

impl MetadataStub {
    /// A stub at a free port.
    pub async fn start() -> anyhow::Result<Self> {
        let items = [
            ("instance-id", INSTANCE_ID),
            ("instance-type", INSTANCE_TYPE),
            ("instance-life-cycle", "spot"),
            ("placement/availability-zone", ZONE),
            ("placement/region", "eu-central-1"),
            ("autoscaling/target-lifecycle-state", "InService"),
        ];
        let known = Known {
            items: items.map(|(path, text)| (path, text.to_owned())).into(),
            generation: 1,
        };
        let known = Arc::new(Mutex::new(known));
        let answering = known.clone();
        let (url, serving) = serve(move |asked| lock(&answering).answer(asked)).await?;
        Ok(Self {
            url,
            known,
            serving,
        })
    }

    /// EC2 takes the instance back: `terminate`, `stop` or `hibernate`.
    pub fn interrupt(&self, action: &str) {
        let notice = format!(r#"{{"action": "{action}", "time": "2026-11-26T08:22:00Z"}}"#);
        self.set("spot/instance-action", &notice);
    }

    /// EC2 says that it may do so soon.
    pub fn recommend_rebalance(&self) {
        let notice = r#"{"noticeTime": "2026-11-26T08:20:00Z"}"#;
        self.set("events/recommendations/rebalance", notice);
    }

    /// The Auto Scaling group terminates the instance.
    pub fn terminate(&self) {
        self.set("autoscaling/target-lifecycle-state", "Terminated");
    }

    /// Has this text at this path below `/latest/meta-data/`.
    pub fn set(&self, path: &'static str, text: &str) {
        lock(&self.known).items.insert(path, text.to_owned());
    }

    /// Refuses every token that it gave until now.
    pub fn forget_tokens(&self) {
        lock(&self.known).generation += 1;
    }
}

impl Drop for MetadataStub {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Known {
    fn answer(&self, asked: &Asked) -> Answer {
        let token = format!("token-{}", self.generation);
        if asked.path == "/latest/api/token" {
            return match (asked.method.as_str(), asked.headers.get(TTL_HEADER)) {
                ("PUT", Some(ttl)) => Answer {
                    headers: vec![(TTL_HEADER, ttl.clone())],
                    ..Answer::new(200, token)
                },
                ("PUT", None) => Answer::new(400, ""),
                _ => Answer::new(405, ""),
            };
        }
        if asked.headers.get(TOKEN_HEADER) != Some(&token) {
            return Answer::new(401, "");
        }
        let item = asked.path.strip_prefix("/latest/meta-data/");
        match item.and_then(|item| self.items.get(item)) {
            Some(text) => Answer::new(200, text.clone()),
            None => Answer::new(404, "<html>404 - Not Found</html>"),
        }
    }
}

/// A stub of `CompleteLifecycleAction`, which moto does not have. It keeps what it was asked.
#[derive(Debug)]
pub struct LifecycleStub {
    /// What `AWS_ENDPOINT_URL` is to say.
    pub url: String,
    asked: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl LifecycleStub {
    /// A stub at a free port.
    pub async fn start() -> anyhow::Result<Self> {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noting = asked.clone();
        let (url, serving) = serve(move |asked: &Asked| {
            lock(&noting).push(asked.body.clone());
            let answer = "<CompleteLifecycleActionResponse \
                          xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\">\
                          <CompleteLifecycleActionResult/></CompleteLifecycleActionResponse>";
            Answer {
                headers: vec![("content-type", "text/xml".to_owned())],
                ..Answer::new(200, answer)
            }
        })
        .await?;
        Ok(Self {
            url,
            asked,
            serving,
        })
    }

    /// The forms that it was sent, as AWS' query protocol writes them.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.asked).clone()
    }
}

impl Drop for LifecycleStub {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves requests, one a connection, at a free port of this machine.
async fn serve(
    answer: impl Fn(&Asked) -> Answer + Clone + Send + 'static,
) -> anyhow::Result<(String, JoinHandle<()>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                // Whoever breaks off needs no answer.
                let _ = converse(stream, answer).await;
            });
        }
    });
    Ok((url, serving))
}

async fn converse(mut stream: TcpStream, answer: impl Fn(&Asked) -> Answer) -> anyhow::Result<()> {
    let asked = hear(&mut stream).await?;
    let Answer {
        status,
        headers,
        body,
    } = answer(&asked);
    let headers = headers.into_iter();
    let headers: String = headers
        .map(|(name, value)| name.to_owned() + ": " + &value + "\r\n")
        .collect();
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} Stub\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    Ok(stream.shutdown().await?)
}

async fn hear(stream: &mut TcpStream) -> anyhow::Result<Asked> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        anyhow::ensure!(bytes.len() < BYTES_MAX, "too much");
        anyhow::ensure!(stream.read_buf(&mut bytes).await? > 0, "no request");
    };
    let head = std::str::from_utf8(&bytes[..head_end])?.to_owned();
    let mut lines = head.lines();
    let mut words = lines.next().context("no line")?.split(' ');
    let (method, path) = words.next().zip(words.next()).context("no request")?;
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.get("content-length");
    let length: usize = length.map_or(Ok(0), |length| length.parse())?;
    let mut body = bytes.split_off(head_end + 4);
    while body.len() < length.min(BYTES_MAX) {
        anyhow::ensure!(stream.read_buf(&mut body).await? > 0, "it broke off");
    }
    Ok(Asked {
        method: method.to_owned(),
        path: path.to_owned(),
        headers,
        body: String::from_utf8(body)?,
    })
}
