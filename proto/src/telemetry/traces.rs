//! Traces on their way to an OTLP collector, by gRPC.
//!
//! The standard variables of OpenTelemetry count, where a program can have them: service name, resource attributes, headers,
//! sampler and the bounds of the queue. Spans wait in a bounded queue, and those that do not fit are dropped, so a collector
//! that is away or slow costs nobody anything; it is told once, and once when it is back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{RetryPolicy, SpanExporter as OtlpExporter, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tonic::transport::{ClientTlsConfig, Endpoint};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::Layer;

/// Names a collector of traces alone; counts more than what is named for everything.
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
/// How long one export may take; the queue fills meanwhile.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the end of a program waits for its last traces.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether this process traces, for what would be of no use otherwise.
static IS_TRACING: AtomicBool = AtomicBool::new(false);

/// Whether this process traces.
pub fn is_tracing() -> bool {
    IS_TRACING.load(Ordering::Relaxed)
}

/// A URL at which no collector can be.
#[derive(Debug, thiserror::Error)]
#[error(
    "{url:?} is not the URL of an OTLP collector\n\
     hint: write it as in http://127.0.0.1:4317 or https://collector.example.com:4317; traces go there by gRPC"
)]
pub struct BadCollector {
    /// What was given.
    url: String,
}

/// Traces of this process.
#[derive(Debug)]
pub(super) struct Traces {
    provider: SdkTracerProvider,
    url: String,
}

impl Traces {
    /// To the collector at a URL, or at the one that the environment has for traces alone; `None` if there is none, or if
    /// the environment says that there is to be no tracing.
    pub(super) fn to(
        url: Option<&str>,
        program: &'static str,
    ) -> Result<Option<Self>, BadCollector> {
        let is_set = |name, wanted: &str| {
            std::env::var(name).is_ok_and(|value| value.eq_ignore_ascii_case(wanted))
        };
        let of_traces = std::env::var(TRACES_ENDPOINT).ok();
        let url = of_traces.as_deref().or(url).map(str::trim);
        let Some(url) = url.filter(|url| !url.is_empty()) else {
            return Ok(None);
        };
        if is_set("OTEL_SDK_DISABLED", "true") || is_set("OTEL_TRACES_EXPORTER", "none") {
            return Ok(None);
        }
        let bad = || BadCollector {
            url: url.to_owned(),
        };
        let channel = endpoint(url).ok_or_else(bad)?.connect_lazy();
        let exporter = OtlpExporter::builder()
            .with_tonic()
            .with_channel(channel)
            // What comes later is of more use than what is sent again and again.
            .with_retry_policy(RetryPolicy::disabled())
            .build()
            .map_err(|_| bad())?;
        let exporter = Telling {
            exporter,
            url: url.to_owned(),
            is_away: AtomicBool::new(false),
        };
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource(program))
            .build();
        IS_TRACING.store(true, Ordering::Relaxed);
        let url = url.to_owned();
        Ok(Some(Self { provider, url }))
    }

    /// What makes traces of spans.
    pub(super) fn layer(&self) -> impl Layer<Registry> + Send + Sync + use<> {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("atelier"))
            // Where in the code a span begins, and on which thread, says nothing to who runs it.
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            // Nothing here asks OpenTelemetry for the current span.
            .with_context_activation(false)
            // An error that is overcome is none of the span; what failed says so itself.
            .with_error_events_to_status(false)
    }

    /// Says where traces go, once there is a log.
    pub(super) fn announce(&self) {
        tracing::info!(collector = without_secrets(&self.url), "tracing");
        let protocol = std::env::var("OTEL_EXPORTER_OTLP_PROTOCOL").unwrap_or_default();
        if !matches!(protocol.as_str(), "" | "grpc") {
            tracing::warn!(
                protocol,
                "OTEL_EXPORTER_OTLP_PROTOCOL asks for what this program does not speak; traces go by gRPC"
            );
        }
    }

    pub(super) fn flush(self) {
        // What was not sent by then is lost, and the program has nothing to do with it.
        let _ = self.provider.shutdown_with_timeout(FLUSH_TIMEOUT);
        IS_TRACING.store(false, Ordering::Relaxed);
    }
}

fn endpoint(url: &str) -> Option<Endpoint> {
    let endpoint = Endpoint::from_shared(url.to_owned()).ok()?;
    if endpoint.uri().host().is_none_or(str::is_empty) {
        return None;
    }
    let endpoint = match endpoint.uri().scheme_str() {
        Some("http") => endpoint,
        // By the authorities that the system trusts.
        Some("https") => endpoint
            .tls_config(ClientTlsConfig::new().with_native_roots())
            .ok()?,
        _ => return None,
    };
    let timed = endpoint
        .timeout(EXPORT_TIMEOUT)
        .connect_timeout(EXPORT_TIMEOUT);
    Some(timed)
}

/// Who this is; what the environment says counts more.
fn resource(program: &'static str) -> Resource {
    let named = std::env::var("OTEL_SERVICE_NAME").is_ok_and(|name| !name.is_empty())
        || std::env::var("OTEL_RESOURCE_ATTRIBUTES").is_ok_and(|it| it.contains("service.name="));
    let resource = Resource::builder()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if named {
        resource.build()
    } else {
        resource.with_service_name(program).build()
    }
}

/// The URL without what may be a password in it.
fn without_secrets(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => url.to_owned(),
    }
}

/// Tells when a collector goes away and comes back.
#[derive(Debug)]
struct Telling {
    exporter: OtlpExporter,
    url: String,
    is_away: AtomicBool,
}

impl SpanExporter for Telling {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let exported = self.exporter.export(batch).await;
        let was_away = self.is_away.swap(exported.is_err(), Ordering::Relaxed);
        let collector = without_secrets(&self.url);
        match (&exported, was_away) {
            (Err(error), false) => tracing::warn!(
                collector,
                %error,
                spans,
                "traces are lost: the collector does not take them; the work goes on"
            ),
            (Ok(()), true) => tracing::info!(collector, "the collector takes traces again"),
            _ => {}
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_collector_is_a_url_and_none_is_none() {
        assert!(Traces::to(None, "test").unwrap().is_none());
        assert!(Traces::to(Some(" "), "test").unwrap().is_none());
        for url in ["collector:4317", "http://", "ftp://collector", "no url"] {
            let error = Traces::to(Some(url), "test").unwrap_err().to_string();
            assert!(error.contains("hint:"), "{error}");
        }
    }

    #[test]
    fn a_password_in_the_url_is_not_told() {
        assert_eq!(without_secrets("https://me:pass@host:1"), "https://host:1");
        assert_eq!(without_secrets("http://host:1"), "http://host:1");
    }
}
