//! Logs: to standard error, as text for people or as JSON for machines.

pub use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry};

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

/// Starts logging to standard error; call it once, first thing in `main`.
///
/// `filter` follows [`EnvFilter`]: `info`, `atelier_coordinator=debug,warn`, ...
///
/// # Errors
/// When the filter cannot be parsed.
pub fn init(filter: &str, format: LogFormat) -> Result<(), ParseError> {
    init_with(filter, format, None)
}

/// A further place where the log goes.
pub type Place = Box<dyn Layer<Registry> + Send + Sync>;

/// Starts logging to standard error, as [`init`] does, and to a further place.
///
/// # Errors
/// When the filter cannot be parsed.
pub fn init_with(filter: &str, format: LogFormat, also: Option<Place>) -> Result<(), ParseError> {
    let filter = EnvFilter::builder().parse(filter)?;
    let errors = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let errors: Place = match format {
        LogFormat::Text => {
            let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            let colour = !no_color && std::io::IsTerminal::is_terminal(&std::io::stderr());
            errors.with_ansi(colour).boxed()
        }
        LogFormat::Json => errors.json().boxed(),
    };
    let places: Vec<Place> = std::iter::once(errors).chain(also).collect();
    tracing_subscriber::registry()
        .with(places)
        .with(filter)
        .init();
    Ok(())
}
