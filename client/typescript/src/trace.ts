/**
 * Trace context, where the program has OpenTelemetry: the calls of Switchboard then belong to the caller's trace.
 * `@opentelemetry/api` does nothing by itself; without a propagator registered, no header is written.
 */

type Api = typeof import("@opentelemetry/api");

let loaded: Promise<Api | undefined> | undefined;

/** Writes the headers (`traceparent`, …) of the context that is active where the call is made. */
export async function writeTraceContext(headers: Headers): Promise<void> {
  loaded ??= load();
  const api = await loaded;
  api?.propagation.inject(api.context.active(), headers, { set: (carrier, key, value) => carrier.set(key, value) });
}

/** Whatever is wrong with it, a call must not fail for its trace. */
async function load(): Promise<Api | undefined> {
  try {
    return await import("@opentelemetry/api");
  } catch {
    return undefined;
  }
}
