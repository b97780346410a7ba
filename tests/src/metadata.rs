//! Stubs of what AWS is to an instance: its metadata service (`IMDSv2`), and the one call of its Auto Scaling group.
//!
//! They are written after AWS' documentation, and prove nothing about AWS itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use crate::served::Served;

/// The instance that the stub is of.
pub const INSTANCE_ID: &str = "i-0123456789abcdef0";
/// Its type.
pub const INSTANCE_TYPE: &str = "g6e.xlarge";
/// Its availability zone.
pub const ZONE: &str = "eu-central-1a";

const TTL_HEADER: &str = "x-aws-ec2-metadata-token-ttl-seconds";
const TOKEN_HEADER: &str = "x-aws-ec2-metadata-token";

/// A stub of the metadata service of a spot instance, without any notices at first. It insists on tokens.
#[derive(Debug)]
pub struct MetadataStub {
    /// What `AWS_EC2_METADATA_SERVICE_ENDPOINT` is to say.
    pub url: String,
    known: Arc<Mutex<Known>>,
    _served: Served,
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
        let router = Router::new().fallback(tell).with_state(known.clone());
        let served = Served::start(router).await?;
        Ok(Self {
            url: served.url.clone(),
            known,
            _served: served,
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

async fn tell(
    State(known): State<Arc<Mutex<Known>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let known = lock(&known);
    let token = format!("token-{}", known.generation);
    if uri.path() == "/latest/api/token" {
        return match (method, headers.get(TTL_HEADER)) {
            (Method::PUT, Some(ttl)) => closing(([(TTL_HEADER, ttl.clone())], token)),
            (Method::PUT, None) => closing(StatusCode::BAD_REQUEST),
            _ => closing(StatusCode::METHOD_NOT_ALLOWED),
        };
    }
    if headers.get(TOKEN_HEADER).map(HeaderValue::as_bytes) != Some(token.as_bytes()) {
        return closing(StatusCode::UNAUTHORIZED);
    }
    let item = uri.path().strip_prefix("/latest/meta-data/");
    match item.and_then(|item| known.items.get(item)) {
        Some(text) => closing(text.clone()),
        None => closing((StatusCode::NOT_FOUND, "<html>404 - Not Found</html>")),
    }
}

/// A stub of `CompleteLifecycleAction`, which moto does not have. It keeps what it was asked.
#[derive(Debug)]
pub struct LifecycleStub {
    /// What `AWS_ENDPOINT_URL` is to say.
    pub url: String,
    asked: Arc<Mutex<Vec<String>>>,
    _served: Served,
}

impl LifecycleStub {
    /// A stub at a free port.
    pub async fn start() -> anyhow::Result<Self> {
        let asked = Arc::default();
        let router = Router::new().fallback(note).with_state(Arc::clone(&asked));
        let served = Served::start(router).await?;
        Ok(Self {
            url: served.url.clone(),
            asked,
            _served: served,
        })
    }

    /// The forms that it was sent, as AWS' query protocol writes them.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.asked).clone()
    }
}

async fn note(State(asked): State<Arc<Mutex<Vec<String>>>>, form: String) -> Response {
    lock(&asked).push(form);
    let answer = "<CompleteLifecycleActionResponse \
                  xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\">\
                  <CompleteLifecycleActionResult/></CompleteLifecycleActionResponse>";
    closing(([(header::CONTENT_TYPE, "text/xml")], answer))
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Each question comes over a connection of its own, so that what becomes of connections becomes of questions.
fn closing(answer: impl IntoResponse) -> Response {
    ([(header::CONNECTION, "close")], answer).into_response()
}
