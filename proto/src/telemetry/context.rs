//! Trace contexts as text: `traceparent` of the W3C, which travels in gRPC metadata, with grids and with leased cells.
//!
//! <https://www.w3.org/TR/trace-context/#traceparent-header>

use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use tonic::metadata::{MetadataMap, MetadataValue};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The key of the metadata.
pub const TRACE_PARENT: &str = "traceparent";

/// What tells others that what they do belongs to a span; empty where nobody traces it.
pub fn of_span(span: &Span) -> String {
    let context = span.context();
    let context = context.span();
    let context = context.span_context();
    if !context.is_valid() {
        return String::new();
    }
    format!(
        "00-{}-{}-{:02x}",
        context.trace_id(),
        context.span_id(),
        context.trace_flags().to_u8()
    )
}

/// What others told of the span that this belongs to; `None` if it is empty or malformed.
pub fn parse(trace_parent: &str) -> Option<SpanContext> {
    let mut parts = trace_parent.split('-');
    let (version, trace, span, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    // Later versions may add parts; ff is none.
    if version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let is_hex = |text: &str, digits| {
        text.len() == digits
            && text
                .bytes()
                .all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
    };
    if !(is_hex(version, 2) && is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2)) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        flags & TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    context.is_valid().then_some(context)
}

/// Makes a span, which has not begun, a part of what others told. Without a collector nothing happens.
pub fn set_parent(span: &Span, trace_parent: &str) {
    if let Some(parent) = parse(trace_parent) {
        // It fails only where nobody traces.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
}

/// Tells whoever is called that the call belongs to the current span.
pub fn inject(metadata: &mut MetadataMap) {
    let trace_parent = of_span(&Span::current());
    if let Ok(value) = MetadataValue::try_from(trace_parent)
        && !value.is_empty()
    {
        metadata.insert(TRACE_PARENT, value);
    }
}

/// What the work that a call asks for belongs to: the call's own span, or, where this program does not trace, what the
/// caller told. Empty where nobody traces.
pub fn of_call(metadata: &MetadataMap) -> String {
    let own = of_span(&Span::current());
    if !own.is_empty() {
        return own;
    }
    let told = metadata.get(TRACE_PARENT).and_then(|it| it.to_str().ok());
    told.filter(|told| parse(told).is_some())
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    const TOLD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn only_what_is_well_formed_is_a_parent() {
        assert!(parse(TOLD).is_some());
        assert!(parse(&TOLD.replacen("00", "01", 1)).is_some());
        for wrong in [
            "",
            "00",
            "00-0-0-0",
            &format!("{TOLD}-more"),
            &TOLD.replacen("00", "ff", 1),
            &TOLD.to_uppercase(),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-011",
        ] {
            assert!(parse(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn a_span_goes_on_with_what_was_told_and_tells_itself() {
        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("call");
            set_parent(&span, TOLD);
            let _entered = span.enter();
            let mut metadata = MetadataMap::new();
            inject(&mut metadata);
            let told = metadata.get(TRACE_PARENT).unwrap().to_str().unwrap();
            assert_eq!(told[..36], TOLD[..36]);
            assert_ne!(told, TOLD);
            assert_eq!(of_call(&MetadataMap::new()), told);
        });
    }

    #[test]
    fn where_nobody_traces_what_was_told_is_passed_on_and_nothing_is_made_up() {
        let mut metadata = MetadataMap::new();
        inject(&mut metadata);
        assert!(metadata.is_empty());
        assert_eq!(of_call(&metadata), "");
        metadata.insert(TRACE_PARENT, MetadataValue::from_static(TOLD));
        assert_eq!(of_call(&metadata), TOLD);
        metadata.insert(TRACE_PARENT, MetadataValue::from_static("nonsense"));
        assert_eq!(of_call(&metadata), "");
    }
}
