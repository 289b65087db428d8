/**
 * What may end a call from this side: its deadline, its caller's `AbortSignal`, or its reader, who left.
 *
 * Connect has a clock of its own, which is not used: it resets the stream with the code of a fault, not of a
 * cancellation, and does not know of the attempts before.
 */

import { cancelled, deadlinePassed, ended, wasTold, type SwitchboardError } from "./error.js";

/** The longest that a timer of Node's can wait; a longer deadline is the server's alone to keep. */
const LONGEST_TIMER_MS = 0x7fff_ffff;

/** The most digits that gRPC allows in a timeout. */
const MOST_DIGITS = 99_999_999;

export class Leash {
  readonly #controller = new AbortController();
  readonly #callers: AbortSignal | undefined;
  readonly #endsAt: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #cause: SwitchboardError | undefined;

  constructor(deadlineMs: number | undefined, callers: AbortSignal | undefined) {
    this.#callers = callers;
    if (deadlineMs !== undefined) {
      this.#endsAt = performance.now() + deadlineMs;
      if (deadlineMs <= LONGEST_TIMER_MS) {
        this.#timer = setTimeout(() => this.#end(deadlinePassed()), deadlineMs);
      }
    }
    callers?.addEventListener("abort", this.#callerLeft);
    if (callers?.aborted) {
      this.#callerLeft();
    }
  }

  /** Ends the call where it is given. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The time left, as gRPC's header has it. Absent: there is no deadline. */
  timeout(): string | undefined {
    if (this.#endsAt === undefined) {
      return undefined;
    }
    const left = Math.max(1, Math.ceil(this.#endsAt - performance.now()));
    return left <= MOST_DIGITS ? `${left}m` : `${Math.min(MOST_DIGITS, Math.ceil(left / 1000))}S`;
  }

  /** Whether this much time is left. */
  allows(pauseMs: number): boolean {
    return this.#endsAt === undefined || performance.now() + pauseMs < this.#endsAt;
  }

  /** The work's result, or why it was not waited for. */
  async race<T>(work: Promise<T>): Promise<T> {
    const { signal } = this;
    let leave = (): void => {};
    const left = new Promise<never>((_resolve, reject) => {
      leave = () => reject(signal.reason);
      signal.addEventListener("abort", leave, { once: true });
      if (signal.aborted) {
        leave();
      }
    });
    try {
      return await Promise.race([left, work]);
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  async sleep(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    try {
      await this.race(new Promise((resolve) => (timer = setTimeout(resolve, ms))));
    } finally {
      clearTimeout(timer);
    }
  }

  /** Why the call failed. What the server said counts, even if it came at the last moment. */
  explain(thrown: unknown): SwitchboardError {
    return this.#cause !== undefined && !wasTold(thrown) ? this.#cause : ended(thrown);
  }

  /** Nobody reads any more: ends the call if it still runs, and lets go of the clock and the caller's signal. */
  release(): void {
    clearTimeout(this.#timer);
    this.#callers?.removeEventListener("abort", this.#callerLeft);
    this.#controller.abort();
  }

  readonly #callerLeft = (): void => this.#end(cancelled(this.#callers?.reason));

  #end(cause: SwitchboardError): void {
    this.#cause ??= cause;
    this.#controller.abort(); // its default reason is what makes Connect reset the stream with CANCEL
  }
}
