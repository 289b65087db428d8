package ai.switchboard.client;

import java.util.function.BiConsumer;

/** Sends the trace that is current where a call begins along with it; {@link OpenTelemetryPropagator} is one. */
@FunctionalInterface
public interface TracePropagator {
  /** Gives each header of the current trace, as name and value, to {@code headers}. */
  void inject(BiConsumer<String, String> headers);
}
