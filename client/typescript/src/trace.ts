/**
 * Trace propagation, if the program has OpenTelemetry: calls carry the trace context of the caller. Without a
 * registered propagator, `@opentelemetry/api` writes no header.
 */

type Api = typeof import("@opentelemetry/api");

let loaded: Promise<Api | undefined> | undefined;

/** Writes the headers (`traceparent`, …) of the active context. */
export async function writeTraceContext(headers: Headers): Promise<void> {
  loaded ??= load();
  const api = await loaded;
  api?.propagation.inject(api.context.active(), headers, { set: (carrier, key, value) => carrier.set(key, value) });
}

/** Loads OpenTelemetry. Any failure is ignored: tracing must not make a call fail. */
async function load(): Promise<Api | undefined> {
  try {
    return await import("@opentelemetry/api");
  } catch {
    return undefined;
  }
}
