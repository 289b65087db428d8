/**
 * Ends a call on the client: at its deadline, by the caller's `AbortSignal`, or when the reader stops.
 *
 * Connect's own timeout is not used, because it resets the stream with the code of an error instead of a
 * cancellation.
 */

import { cancelled, deadlinePassed, isFromServer, toSwitchboardError, type SwitchboardError } from "./error.js";

/** Longest duration of a Node timer, in milliseconds. Only the server enforces a longer deadline. */
const MAX_TIMER_MS = 0x7fff_ffff;

/** Largest number in a gRPC timeout, which has at most eight digits. */
const MAX_TIMEOUT_VALUE = 99_999_999;

export class CallControl {
  readonly #controller = new AbortController();
  readonly #callerSignal: AbortSignal | undefined;
  readonly #endsAt: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #cause: SwitchboardError | undefined;

  constructor(deadlineMs: number | undefined, callerSignal: AbortSignal | undefined) {
    this.#callerSignal = callerSignal;
    if (deadlineMs !== undefined) {
      this.#endsAt = performance.now() + deadlineMs;
      if (deadlineMs <= MAX_TIMER_MS) {
        this.#timer = setTimeout(() => this.#end(deadlinePassed()), deadlineMs);
      }
    }
    callerSignal?.addEventListener("abort", this.#onCallerAbort);
    if (callerSignal?.aborted) {
      this.#onCallerAbort();
    }
  }

  /** Signal that ends the call. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Returns the remaining time in the format of the header `grpc-timeout`. Absent: there is no deadline. */
  timeout(): string | undefined {
    if (this.#endsAt === undefined) {
      return undefined;
    }
    const ms = Math.max(1, Math.ceil(this.#endsAt - performance.now()));
    return ms <= MAX_TIMEOUT_VALUE ? `${ms}m` : `${Math.min(MAX_TIMEOUT_VALUE, Math.ceil(ms / 1000))}S`;
  }

  /** Waits for the result of the work, or rejects when the call ends. */
  async race<T>(work: Promise<T>): Promise<T> {
    const { signal } = this;
    let onAbort = (): void => {};
    const aborted = new Promise<never>((_resolve, reject) => {
      onAbort = () => reject(signal.reason);
      signal.addEventListener("abort", onAbort, { once: true });
      if (signal.aborted) {
        onAbort();
      }
    });
    try {
      return await Promise.race([aborted, work]);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Returns the error of the call. An error that the server sent takes precedence over a local one. */
  explain(thrown: unknown): SwitchboardError {
    return this.#cause !== undefined && !isFromServer(thrown) ? this.#cause : toSwitchboardError(thrown);
  }

  /** Cancels the call if it is running, and releases the timer and the caller's signal. */
  release(): void {
    clearTimeout(this.#timer);
    this.#callerSignal?.removeEventListener("abort", this.#onCallerAbort);
    this.#controller.abort();
  }

  readonly #onCallerAbort = (): void => this.#end(cancelled(this.#callerSignal?.reason));

  #end(cause: SwitchboardError): void {
    this.#cause ??= cause;
    this.#controller.abort(); // with the default reason, Connect resets the stream with CANCEL
  }
}
