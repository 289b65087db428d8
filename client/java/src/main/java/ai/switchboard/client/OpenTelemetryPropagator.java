package ai.switchboard.client;

import io.opentelemetry.api.OpenTelemetry;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.propagation.TextMapPropagator;
import java.util.function.BiConsumer;

/**
 * Sends OpenTelemetry's current span. Only this class needs {@code opentelemetry-api}, which is an optional
 * dependency.
 */
public final class OpenTelemetryPropagator implements TracePropagator {
  private final TextMapPropagator propagator;

  /** Uses the propagators of this OpenTelemetry, such as {@code GlobalOpenTelemetry.get()}. */
  public OpenTelemetryPropagator(OpenTelemetry openTelemetry) {
    this.propagator = openTelemetry.getPropagators().getTextMapPropagator();
  }

  @Override
  public void inject(BiConsumer<String, String> headers) {
    propagator.inject(Context.current(), headers, (carrier, name, value) -> carrier.accept(name, value));
  }
}
