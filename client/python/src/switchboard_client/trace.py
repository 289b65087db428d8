"""Trace propagation, if OpenTelemetry is installed."""

try:
    from opentelemetry import propagate
except ImportError:

    def context() -> dict[str, str]:
        """Return no headers."""
        return {}

else:

    def context() -> dict[str, str]:
        """Return the current span as headers, in the format of the global propagator (`traceparent`)."""
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        return carrier
