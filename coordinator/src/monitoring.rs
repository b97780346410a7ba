//! What watches a coordinator: `/metrics` for Prometheus, `/healthz` and `/readyz` for probes. The board serves them too; this
//! serves them at an address of their own, for coordinators without a board and for networks where people do not reach the
//! metrics. There, too, metrics are for those whose role lets them read, where everybody says who they are.

use std::sync::Arc;
use std::time::Duration;

use atelier_proto::metrics::CONTENT_TYPE as METRICS;
use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use crate::domain::access::{self, Admitted};
use crate::health::Health;
use crate::identity::Identities;
use crate::identity::audit::{Act, Audit};
use crate::identity::http::{bearer, beyond, refuse};
use crate::ledger::Ledger;
use crate::limits::callers::Callers;
use crate::listen::{Listener, Peer, http};
use crate::scaler::{self, Scaling};
use crate::store::StoreError;

/// How long the head of a request may take, and how long a connection may be idle before it: Prometheus keeps its own.
const HEAD_READ_MAX: Duration = Duration::from_mins(2);
/// What reading the metrics is called, for the audit log and for who is refused.
const READING: &str = "Metrics.Read";

/// What is watched; clones are of the same coordinator.
#[derive(Debug, Clone)]
pub struct Monitoring {
    /// With the metrics.
    pub ledger: Arc<Ledger>,
    /// How the fleet follows the backlog.
    pub scaling: Arc<Scaling>,
    /// Whether the coordinator can do its work.
    pub health: Arc<Health>,
}

impl Monitoring {
    /// Serves until shutdown. Where these ask who somebody is, metrics are for those who may read them, as often as they may
    /// call; what probes ask is for all.
    pub async fn serve(
        self,
        listener: Listener,
        identities: Identities,
        audit: Arc<Audit>,
        callers: Callers,
        shutdown: CancellationToken,
    ) {
        let door = Door {
            identities,
            audit,
            callers,
            ledger: self.ledger.clone(),
        };
        let before = middleware::from_fn_with_state(door, admit);
        let router = Router::new()
            .route("/metrics", get(metrics))
            .layer(before)
            .route("/healthz", get(alive))
            .route("/readyz", get(ready))
            .fallback(async || {
                (
                    StatusCode::NOT_FOUND,
                    "see /metrics, /healthz and /readyz\n",
                )
            })
            .with_state(self);
        let answer = move |request: Request<Incoming>| router.clone().call(request.map(Body::new));
        http::serve(listener, HEAD_READ_MAX, answer, shutdown).await;
    }

    /// Metrics in the text format of `OpenMetrics`.
    pub async fn tell_metrics(&self) -> Response {
        // It asks what the metrics tell of, too.
        self.health.report().await;
        let metrics = self.ledger.metrics();
        let read = async {
            let overview = scaler::overview(&self.ledger, &self.scaling).await?;
            let tallies = self.ledger.store().tallies().await?;
            Ok::<_, StoreError>((overview, tallies))
        };
        let text = match read.await {
            Ok((overview, tallies)) => metrics.text(&overview, &tallies),
            Err(error) => {
                tracing::warn!(%error, "fleet and webhooks cannot be told: the store does not answer");
                // What this coordinator did itself is of use then above all.
                metrics.text_of_this_one()
            }
        };
        ([(CONTENT_TYPE, METRICS)], text).into_response()
    }

    /// Whether the coordinator can do its work, thing by thing; 503 if not. `exclude=bucket` in the query leaves one of them
    /// out of account, and may come several times.
    pub async fn tell_ready(&self, query: RawQuery) -> Response {
        let query = query.0.unwrap_or_default();
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        let excluded = pairs.filter(|(name, _)| name == "exclude");
        let excluded: Vec<String> = excluded.map(|(_, what)| what.into_owned()).collect();
        let report = self.health.report().await.without(&excluded);
        let status = if report.ready {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        (status, [(CACHE_CONTROL, "no-store")], Json(report)).into_response()
    }
}

/// What asks whoever wants to read metrics.
#[derive(Clone)]
struct Door {
    identities: Identities,
    audit: Arc<Audit>,
    callers: Callers,
    ledger: Arc<Ledger>,
}

/// Lets those through who may read metrics, by a token or a certificate. At the board a cookie does, too.
async fn admit(State(door): State<Door>, request: Request, next: Next) -> Response {
    let peer = Peer::of(request.extensions());
    let tell = |who: Option<&Admitted>, outcome: &str| {
        door.audit.record(&Act {
            who,
            from: peer.address.ip(),
            call: READING,
            on: "",
            outcome,
            reason: "",
        });
    };
    let admitted = door
        .identities
        .admit(bearer(request.headers()), &peer)
        .await;
    let known = admitted.as_ref().ok();
    let turn = door.callers.begin(known, peer.address.ip(), READING, 1.0);
    let _turn = match turn {
        Ok(turn) => turn,
        Err(exceeded) => {
            let text = format!("{exceeded}\n");
            return beyond(door.ledger.metrics(), &exceeded, text);
        }
    };
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(refused) => {
            tell(None, "unauthenticated");
            return refuse(&refused, format!("{refused}\n"));
        }
    };
    if let Err(denied) = access::check_role(&admitted.caller, READING, access::METRICS) {
        tell(Some(&admitted), "denied");
        return (StatusCode::FORBIDDEN, format!("{denied}\n")).into_response();
    }
    next.run(request).await
}

/// Whoever answers is alive.
pub async fn alive() -> &'static str {
    "ok\n"
}

async fn metrics(State(monitoring): State<Monitoring>) -> Response {
    monitoring.tell_metrics().await
}

async fn ready(State(monitoring): State<Monitoring>, query: RawQuery) -> Response {
    monitoring.tell_ready(query).await
}
