"""The caller's trace, where OpenTelemetry is installed."""

try:
    from opentelemetry import propagate
except ImportError:  # without it there is no trace to go on with

    def context() -> dict[str, str]:
        """Nothing."""
        return {}

else:

    def context() -> dict[str, str]:
        """The current span as headers, in the form that the process has configured (`traceparent`)."""
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        return carrier
