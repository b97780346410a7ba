//! Sends signed requests: has them signed, tries again what passes, has them signed anew once they are refused for their age,
//! and tells what goes wrong in the bucket's words.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use atelier_proto::clock::Stopwatch;
use atelier_proto::pem::PemFile;
use backon::{BackoffBuilder as _, ExponentialBuilder};
use bytes::Bytes;
use reqwest::header::{HeaderName, IF_MATCH, RANGE};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, Response, StatusCode, Url};
use secrecy::ExposeSecret as _;
use serde::Deserialize;

use super::shelf::{Kept, Shelf};
use super::{Method, Sign, SignError, Signatures, WANTED_MAX, Wanted};
use crate::bucket::error::{Answer, Call, of_service, root_cause};
use crate::bucket::{
    ATTEMPT_TIMEOUT, ATTEMPTS_MAX, BucketError, CONFLICT_ATTEMPTS_MAX, CONNECT_TIMEOUT, Place,
    UPLOAD_BYTES_PER_SECOND_MIN,
};

/// The longest that the next bytes of an answer may take.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest text of a refusal that is read.
const REFUSAL_BYTES_MAX: usize = 64 << 10;
/// Between two tries.
const WAIT_MIN: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Connections to buckets; clones share them.
#[derive(Debug, Clone)]
pub struct Http {
    /// Through the proxy that the environment names, if it names one.
    outward: Client,
    /// To this machine, where no proxy is asked.
    here: Client,
}

impl Http {
    /// No connection yet.
    ///
    /// # Errors
    /// When no HTTP client can be made, which is a fault of this machine.
    pub fn new() -> Result<Self, BucketError> {
        Self::trusting(None)
    }

    /// The same, to endpoints whose certificate may be of the authorities in this PEM file, if not of the system's. The file
    /// is read once.
    ///
    /// # Errors
    /// When the file cannot be used, or no HTTP client can be made.
    pub fn trusting(authorities: Option<&Path>) -> Result<Self, BucketError> {
        let client = |cause| BucketError::Client { cause };
        let mut trusted = Vec::new();
        if let Some(path) = authorities {
            for certificate in PemFile::read(path)?.certificates()? {
                let certificate = Certificate::from_der(&certificate);
                trusted.push(certificate.map_err(|error| client(cause(error)))?);
            }
        }
        // A signature is for one place, and whoever is sent to another one has the wrong region.
        let builder = || {
            Client::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .redirect(Policy::none())
                .tls_certs_merge(trusted.iter().cloned())
        };
        let built = |builder: ClientBuilder| {
            let built = builder.build();
            built.map_err(|error| client(cause(error)))
        };
        Ok(Self {
            outward: built(builder())?,
            here: built(builder().no_proxy())?,
        })
    }

    fn to(&self, url: &Url) -> &Client {
        if is_here(url) {
            &self.here
        } else {
            &self.outward
        }
    }
}

/// Has requests signed and sends them.
#[derive(Debug)]
pub(super) struct Courier {
    sign: Arc<dyn Sign>,
    http: Http,
    shelf: Shelf,
}

/// An answer whose bytes are still on their way.
#[derive(Debug)]
pub(super) struct Arriving {
    pub(super) response: Response,
    place: Arc<Place>,
    key: String,
}

impl Courier {
    pub(super) fn new(http: Http, sign: Arc<dyn Sign>) -> Self {
        Self {
            sign,
            http,
            shelf: Shelf::default(),
        }
    }

    /// Has requests signed that somebody else will send.
    pub(super) async fn sign(&self, wanted: &[Wanted]) -> Result<Signatures, BucketError> {
        Ok(self.sign.sign(wanted).await?)
    }

    /// Has requests signed that are about to be sent, as many at once as may be.
    pub(super) async fn prepare(&self, wanted: &[Wanted]) -> Result<(), BucketError> {
        let lacking: Vec<Wanted> = wanted
            .iter()
            .filter(|wanted| self.shelf.get(wanted).is_none())
            .cloned()
            .collect();
        for some in lacking.chunks(WANTED_MAX) {
            self.ask(some).await?;
        }
        Ok(())
    }

    async fn signed(&self, wanted: &Wanted) -> Result<Kept, BucketError> {
        if let Some(kept) = self.shelf.get(wanted) {
            return Ok(kept);
        }
        self.anew(wanted).await
    }

    async fn anew(&self, wanted: &Wanted) -> Result<Kept, BucketError> {
        let kept = self.ask(std::slice::from_ref(wanted)).await?;
        let too_few = || SignError::new("fewer requests were signed than were asked for", false);
        Ok(kept.into_iter().next().ok_or_else(too_few)?)
    }

    async fn ask(&self, wanted: &[Wanted]) -> Result<Vec<Kept>, BucketError> {
        let since = Stopwatch::start();
        let signatures = self.sign(wanted).await?;
        Ok(self.shelf.keep(wanted, signatures, since))
    }

    /// Sends a request until it is answered well, is refused, or was tried often enough. That a condition of it does not hold
    /// is a good answer, too.
    pub(super) async fn send(
        &self,
        wanted: &Wanted,
        body: Bytes,
        rest: Option<&Rest>,
    ) -> Result<Arriving, BucketError> {
        let mut waits = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(WAIT_MIN)
            .with_max_delay(WAIT_MAX)
            .without_max_times()
            .build();
        let is_conditional =
            rest.is_some() || wanted.content.as_ref().is_some_and(|it| it.if_absent);
        let is_good = |status: StatusCode| {
            status.is_success() || (is_conditional && status == StatusCode::PRECONDITION_FAILED)
        };
        let (mut tries, mut conflicts, mut is_anew) = (1, 1, false);
        let mut kept = self.signed(wanted).await?;
        loop {
            let error = match self.once(&kept, body.clone(), rest).await {
                Ok(response) if is_good(response.status()) => {
                    return Ok(Arriving {
                        response,
                        place: kept.place,
                        key: wanted.key.clone(),
                    });
                }
                Ok(response) => {
                    let status = response.status();
                    let refusal = Said::read(response).await;
                    // A request that was refused may be too old, or its keys may be, which an answer to HEAD cannot say.
                    let may_be_old = status == StatusCode::FORBIDDEN || refusal.is_of_age();
                    if may_be_old && !is_anew {
                        is_anew = true;
                        self.shelf.forget(wanted);
                        kept = self.anew(wanted).await?;
                        continue;
                    }
                    // Another writer is at it; the service wants to be asked again.
                    if status == StatusCode::CONFLICT && conflicts < CONFLICT_ATTEMPTS_MAX {
                        conflicts += 1;
                        tokio::time::sleep(waits.next().unwrap_or(WAIT_MAX)).await;
                        continue;
                    }
                    let answer = Answer {
                        status: status.as_u16(),
                        code: refusal.code.as_deref(),
                        message: refusal.message.as_deref(),
                    };
                    of_service(&kept.place, Call::of(wanted), answer)
                }
                Err(cause) => BucketError::Unreachable {
                    endpoint: kept.place.endpoint.clone(),
                    cause,
                },
            };
            if !error.is_passing() || tries >= ATTEMPTS_MAX {
                return Err(error);
            }
            tries += 1;
            tokio::time::sleep(waits.next().unwrap_or(WAIT_MAX)).await;
            kept = self.signed(wanted).await?;
        }
    }

    async fn once(
        &self,
        kept: &Kept,
        body: Bytes,
        rest: Option<&Rest>,
    ) -> Result<Response, String> {
        let request = &kept.request;
        let url = Url::parse(request.url.expose_secret()).map_err(|error| error.to_string())?;
        let upload = Duration::from_secs(body.len() as u64 / UPLOAD_BYTES_PER_SECOND_MIN);
        let client = self.http.to(&url);
        let mut sending = client.request(method(request.method), url);
        for (name, value) in &request.headers {
            sending = sending.header(name, value);
        }
        if let Some(rest) = rest {
            sending = sending.header(RANGE, format!("bytes={}-", rest.from));
            sending = sending.header(IF_MATCH, &rest.of);
        }
        if request.method == Method::Put {
            sending = sending.body(body);
        }
        match tokio::time::timeout(ATTEMPT_TIMEOUT + upload, sending.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(cause(error)),
            Err(_) => Err("no answer in time".to_owned()),
        }
    }
}

/// What is still to come of an object. Neither header has to be signed.
#[derive(Debug)]
pub(super) struct Rest {
    /// The first byte that is wanted.
    pub(super) from: u64,
    /// The entity tag that the object must still have.
    pub(super) of: String,
}

impl Arriving {
    /// A header of the answer, if it has it as text.
    pub(super) fn header(&self, name: HeaderName) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The next bytes; none at the end.
    pub(super) async fn next_part(&mut self) -> Result<Option<Bytes>, BucketError> {
        let cause = match tokio::time::timeout(READ_TIMEOUT, self.response.chunk()).await {
            Ok(Ok(part)) => return Ok(part),
            Ok(Err(error)) => cause(error),
            Err(_) => "nothing more came in time".to_owned(),
        };
        Err(self.broken_off(cause))
    }

    /// That the object did not come as it is.
    pub(super) fn broken_off(&self, cause: String) -> BucketError {
        BucketError::BrokenOff {
            endpoint: self.place.endpoint.clone(),
            key: self.key.clone(),
            cause,
        }
    }
}

/// What a service says of a failed call: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>.
#[derive(Debug, Default, Deserialize)]
struct Said {
    #[serde(rename = "Code")]
    code: Option<String>,
    #[serde(rename = "Message")]
    message: Option<String>,
}

impl Said {
    /// What an answer says; nothing where it has no body, or is no service's.
    async fn read(mut response: Response) -> Self {
        let mut text = Vec::new();
        while let Ok(Ok(Some(part))) = tokio::time::timeout(READ_TIMEOUT, response.chunk()).await {
            text.extend_from_slice(&part);
            if text.len() > REFUSAL_BYTES_MAX {
                return Self::default();
            }
        }
        quick_xml::de::from_reader(text.as_slice()).unwrap_or_default()
    }

    fn is_of_age(&self) -> bool {
        let code = self.code.as_deref();
        matches!(
            code,
            Some("ExpiredToken" | "InvalidToken" | "TokenRefreshRequired")
        )
    }
}

fn method(method: Method) -> reqwest::Method {
    match method {
        Method::Get => reqwest::Method::GET,
        Method::Head => reqwest::Method::HEAD,
        Method::Put => reqwest::Method::PUT,
        Method::Delete => reqwest::Method::DELETE,
    }
}

/// What the system says, and never the URL.
fn cause(error: reqwest::Error) -> String {
    root_cause(&error.without_url())
}

fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = |address: std::net::IpAddr| address.is_loopback();
    host == "localhost" || host.parse().is_ok_and(is_loopback)
}
