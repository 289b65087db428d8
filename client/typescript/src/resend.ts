/** Resending of calls that no server has processed; see "Retries" in README.md. */

import { ConnectError } from "@connectrpc/connect";
import type { CallControl } from "./call-control.js";
import { isFromServer } from "./error.js";

/**
 * Yields the replies of a call. If a closing connection returned the call unprocessed, sends it once more.
 */
export async function* resending<T>(
  control: CallControl,
  send: () => AsyncIterable<T>,
): AsyncGenerator<T, void, undefined> {
  for (let isResent = false; ; isResent = true) {
    let hasReply = false;
    try {
      for await (const reply of send()) {
        control.signal.throwIfAborted(); // Connect yields replies that it read before the abort
        hasReply = true;
        yield reply;
      }
      return;
    } catch (thrown) {
      if (hasReply || isResent || control.signal.aborted || !isUnprocessed(thrown)) {
        throw control.explain(thrown);
      }
    }
  }
}

/** True if the connection was closing: it did not send the call, or the server refused the stream. */
function isUnprocessed(thrown: unknown): boolean {
  if (!(thrown instanceof ConnectError) || isFromServer(thrown)) {
    return false;
  }
  for (let error: unknown = thrown; error instanceof Error; error = error.cause) {
    if (/REFUSED_STREAM/.test(error.message) || (error as NodeJS.ErrnoException).code === "ERR_HTTP2_GOAWAY_SESSION") {
      return true;
    }
  }
  return false;
}
