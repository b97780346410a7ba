//! How values of the command line are read that clap has no reader for.

use std::ops::RangeInclusive;
use std::time::Duration;

use humantime::format_duration;

/// Times that nobody wants to be longer.
pub(super) const UP_TO_A_DAY: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_hours(24);

/// Reads a duration within a range.
pub(super) fn between(
    range: RangeInclusive<Duration>,
) -> impl Fn(&str) -> Result<Duration, String> + Clone + Send + Sync + 'static {
    move |text: &str| {
        let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
        if range.contains(&duration) {
            return Ok(duration);
        }
        let [least, most] = [range.start(), range.end()].map(|end| format_duration(*end));
        Err(format!("it must be from {least} to {most}"))
    }
}

/// Reads a name and its weight, as in `ann=3`.
pub(super) fn parse_weight(text: &str) -> Result<(String, f64), String> {
    let (name, weight) = text
        .rsplit_once('=')
        .ok_or("write it as in ann=3".to_owned())?;
    let weight: f64 = weight
        .parse()
        .map_err(|_| format!("{weight:?} is no number"))?;
    if (0.001..=1000.0).contains(&weight) {
        Ok((name.to_owned(), weight))
    } else {
        Err("a weight must be from 0.001 to 1000".to_owned())
    }
}

/// Reads a URL, without a slash at its end.
pub(super) fn parse_url(text: &str) -> Result<String, String> {
    let url = url::Url::parse(text).map_err(|error| format!("no URL: {error}"))?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        Err("it must be an http:// or https:// URL".to_owned())
    }
}

/// Reads US dollars.
pub(super) fn parse_dollars(text: &str) -> Result<f64, String> {
    let dollars = text.trim().parse::<f64>();
    dollars
        .ok()
        .filter(|dollars| dollars.is_finite() && *dollars >= 0.0)
        .ok_or_else(|| "it must be a number of 0 or more, as in 12.50".to_owned())
}
