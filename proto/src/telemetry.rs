//! Logs and traces, set up once for each program.
//!
//! Logs go to standard error, as text for people or as JSON for machines; each line carries the fields of the spans that it
//! was written in. Traces go to an OTLP collector if one is named ([`traces`]), and travel from program to program as W3C
//! trace contexts ([`context`]). [`calls`] makes a span of each call that is served.

pub mod calls;
pub mod context;
pub mod traces;

use tracing::level_filters::LevelFilter;
pub use tracing_subscriber::filter::ParseError;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry};

use self::traces::{BadCollector, Traces};

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One readable line an event, coloured on a terminal.
    #[default]
    Text,
    /// One JSON object an event.
    Json,
}

impl std::str::FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(format!("{other:?} is no log format: use `text` or `json`")),
        }
    }
}

/// What a program tells of itself, and where.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// The program's name, under which its traces are found unless `OTEL_SERVICE_NAME` says another one.
    pub program: &'static str,
    /// What is logged; it follows [`EnvFilter`]: `info`, `atelier_coordinator=debug,warn`, ...
    pub filter: &'a str,
    /// How it is logged.
    pub format: LogFormat,
    /// URL of the collector that traces go to, if one was named.
    pub otlp_endpoint: Option<&'a str>,
}

/// Why a program cannot tell of itself as it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be parsed.
    #[error("--log: {0}")]
    Filter(#[from] ParseError),
    /// No collector can be at that URL.
    #[error(transparent)]
    Collector(#[from] BadCollector),
}

/// A further place where events go, with a filter of its own.
pub type Place = Box<dyn Layer<Registry> + Send + Sync>;

/// What is to be done when the program ends.
#[derive(Debug)]
#[must_use = "the last traces are sent by `flush`"]
pub struct Telemetry(Option<Traces>);

impl Telemetry {
    /// Starts logging to standard error and, if a collector is named, tracing; call it once, first thing on the program's
    /// runtime.
    ///
    /// # Errors
    /// When the filter or the URL cannot be parsed. Whether the collector is there is not known by then, and nothing waits for it.
    pub fn start(settings: &Settings<'_>) -> Result<Self, TelemetryError> {
        Self::start_with(settings, |_| Vec::new())
    }

    /// The same with further places, which are told what the filter of the log is.
    ///
    /// # Errors
    /// See [`Telemetry::start`].
    pub fn start_with(
        settings: &Settings<'_>,
        further: impl FnOnce(&dyn Fn() -> EnvFilter) -> Vec<Place>,
    ) -> Result<Self, TelemetryError> {
        let filter = || EnvFilter::builder().parse(settings.filter);
        let errors = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let errors: Place = match settings.format {
            LogFormat::Text => {
                let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                let colour = !no_color && std::io::IsTerminal::is_terminal(&std::io::stderr());
                errors.with_ansi(colour).with_filter(filter()?).boxed()
            }
            LogFormat::Json => errors.json().with_filter(filter()?).boxed(),
        };
        // It was parsed before.
        let mut places = further(&|| filter().unwrap_or_default());
        places.push(errors);
        let traces = Traces::to(settings.otlp_endpoint, settings.program)?;
        if let Some(traces) = &traces {
            places.push(traces.layer().with_filter(own_spans()).boxed());
        }
        tracing_subscriber::registry().with(places).init();
        if let Some(traces) = &traces {
            traces.announce();
        }
        Ok(Self(traces))
    }

    /// Sends the traces that were not sent yet, for some seconds at most. It blocks, and the runtime must still be there.
    pub fn flush(self) {
        if let Some(traces) = self.0 {
            traces.flush();
        }
    }
}

/// What is traced: what this workspace does. Its libraries, the exporter among them, have spans of their own.
fn own_spans() -> Targets {
    Targets::new().with_target("atelier", LevelFilter::INFO)
}
