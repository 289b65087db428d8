/**
 * One more attempt, where gRPC's rules allow it: the code is UNAVAILABLE, no message has come, and the server did not
 * forbid it. Switchboard forbids it (`grpc-retry-pushback-ms: -1`) in every answer of its own, since it has tried every
 * model by then; so this is for what stands between: connections that close, proxies without a server behind them.
 */

import { ConnectError } from "@connectrpc/connect";
import type { SwitchboardError } from "./error.js";
import type { Leash } from "./leash.js";

/** The longest pause where the server names none; the pause is random, so that callers do not come back all at once. */
const LONGEST_PAUSE_MS = 200;

/** The replies of the first attempt that is not to be made again. */
export async function* retrying<T>(
  leash: Leash,
  maxAttempts: 1 | 2,
  attempt: (previousAttempts: number) => AsyncIterable<T>,
): AsyncGenerator<T, void, undefined> {
  let received = false;
  for (let previousAttempts = 0; ; previousAttempts++) {
    try {
      for await (const reply of attempt(previousAttempts)) {
        leash.signal.throwIfAborted(); // Connect goes on with what it has read
        received = true;
        yield reply;
      }
      return;
    } catch (thrown) {
      const error = leash.explain(thrown);
      const pause = received || previousAttempts + 1 >= maxAttempts ? undefined : pauseAfter(error);
      if (pause === undefined || !leash.allows(pause)) {
        throw error;
      }
      await leash.sleep(pause).catch((reason: unknown) => {
        throw leash.explain(reason);
      });
    }
  }
}

/** In milliseconds. Absent: no other attempt may be made. */
function pauseAfter(error: SwitchboardError): number | undefined {
  if (error.code !== "UNAVAILABLE") {
    return undefined;
  }
  const told = error.cause instanceof ConnectError ? error.cause.metadata.get("grpc-retry-pushback-ms") : null;
  if (told === null) {
    return Math.random() * LONGEST_PAUSE_MS;
  }
  return /^\d{1,9}$/.test(told) ? Number(told) : undefined;
}
