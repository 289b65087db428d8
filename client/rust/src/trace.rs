//! Trace propagation: sends the caller's current span to the server.

use tonic::metadata::MetadataMap;

/// Writes the current OpenTelemetry context to the metadata of a call, in the format of the global propagator
/// (`traceparent`). Writes nothing if the program has not set a propagator.
#[cfg(feature = "opentelemetry")]
pub(crate) fn inject(metadata: &mut MetadataMap) {
    use opentelemetry::{Context, global};

    global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&Context::current(), &mut Carrier(metadata));
    });
}

/// Does nothing without the feature `opentelemetry`.
#[cfg(not(feature = "opentelemetry"))]
pub(crate) fn inject(_: &mut MetadataMap) {}

#[cfg(feature = "opentelemetry")]
struct Carrier<'a>(&'a mut MetadataMap);

#[cfg(feature = "opentelemetry")]
impl opentelemetry::propagation::Injector for Carrier<'_> {
    /// Ignores an entry that is not valid metadata: tracing must not make a call fail.
    fn set(&mut self, key: &str, value: String) {
        use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue};

        let key = AsciiMetadataKey::from_bytes(key.as_bytes());
        if let (Ok(key), Ok(value)) = (key, AsciiMetadataValue::try_from(value)) {
            self.0.insert(key, value);
        }
    }
}
