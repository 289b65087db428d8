package ai.switchboard.client;

import java.util.function.BiConsumer;

/** Sends the current trace context with a call, for example {@link OpenTelemetryPropagator}. */
@FunctionalInterface
public interface TracePropagator {
  /** Passes the name and value of each header of the current trace context to {@code headers}. */
  void inject(BiConsumer<String, String> headers);
}
