//! Logs: to standard error, as text for people or as JSON for machines.

use tracing_subscriber::EnvFilter;
pub use tracing_subscriber::filter::ParseError;

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
    let filter = EnvFilter::builder().parse(filter)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => {
            let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            let colour = !no_color && std::io::IsTerminal::is_terminal(&std::io::stderr());
            builder.with_ansi(colour).init();
        }
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
