/** Connection options: address, TLS, token and timeouts. */

import type { Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { badOptions, noConnection } from "./error.js";
import { CallControl } from "./call-control.js";

/** Default address of `switchboard serve` and `switchboard demo`. */
export const DEFAULT_ADDRESS = "http://127.0.0.1:50051";

/** Maximum size of a message, in bytes. gRPC's default of 4 MiB is too small for documents and images. */
export const MAX_MESSAGE_BYTES = 64 << 20;

const CONNECT_TIMEOUT_MS = 10_000;

/** Default interval of keep-alive pings. Some proxies do not allow shorter intervals. */
const KEEP_ALIVE_MS = 60_000;

/** Time without an answer to a ping after which the connection is closed. */
const KEEP_ALIVE_TIMEOUT_MS = 20_000;

const USER_AGENT = "switchboard-client-typescript/0.1.0";

/** Connection options. */
export interface Options {
  /**
   * Address: plain HTTP/2 for `http://host:port` and `host:port`, TLS for `https://host:port`. Absent:
   * {@link DEFAULT_ADDRESS}.
   */
  readonly address?: string | undefined;
  /** Bearer token, sent as `authorization: Bearer …` with every call. */
  readonly bearerToken?: string | undefined;
  /** PEM text of the only trusted certificates. Implies TLS. Absent: the certificates that Node trusts. */
  readonly caCertificate?: string | Buffer | undefined;
  /** Client certificate (PEM, with its chain) and its key. Implies TLS. */
  readonly clientCertificate?: { readonly certificate: string | Buffer; readonly key: string | Buffer } | undefined;
  /**
   * Deadline of each call, up to the end of its stream, in milliseconds. Switchboard and Bedrock stop work at
   * the deadline too. Absent: the task's own deadline applies.
   */
  readonly deadlineMs?: number | undefined;
  /**
   * Timeout for opening a connection, in milliseconds; never longer than the deadline. Absent: 10 seconds.
   */
  readonly connectTimeoutMs?: number | undefined;
  /** Interval of keep-alive pings during a call, in milliseconds. Absent: 60 seconds. */
  readonly keepAliveMs?: number | undefined;
  /** Maximum size of a received message, in bytes. Absent: {@link MAX_MESSAGE_BYTES}. */
  readonly maxMessageBytes?: number | undefined;
}

/** Connection that is opened when needed, and reopened after it broke. */
export class Connection {
  readonly address: string;
  readonly transport: Transport;
  readonly #connectTimeoutMs: number;
  readonly #authorization: string | undefined;
  readonly #sessions: Http2SessionManager;

  constructor(options: Options) {
    this.address = addressOf(options);
    this.#connectTimeoutMs = checkMs("connectTimeoutMs", options.connectTimeoutMs) ?? CONNECT_TIMEOUT_MS;
    this.#authorization = authorizationOf(options);
    this.#sessions = new Http2SessionManager(
      this.address,
      {
        pingIntervalMs: checkMs("keepAliveMs", options.keepAliveMs) ?? KEEP_ALIVE_MS,
        pingTimeoutMs: KEEP_ALIVE_TIMEOUT_MS,
      },
      {
        ...(options.caCertificate !== undefined && { ca: options.caCertificate }),
        ...(options.clientCertificate && {
          cert: options.clientCertificate.certificate,
          key: options.clientCertificate.key,
        }),
        // By default, Node refuses new calls while more than 10 MB are in flight, which is less than one
        // message can be.
        maxSessionMemory: Number.MAX_SAFE_INTEGER,
      },
    );
    this.transport = createGrpcTransport({
      baseUrl: this.address,
      sessionManager: this.#sessions,
      readMaxBytes: options.maxMessageBytes ?? MAX_MESSAGE_BYTES,
      writeMaxBytes: MAX_MESSAGE_BYTES,
    });
  }

  /** Opens the connection, unless it is open. */
  async open(control: CallControl): Promise<void> {
    const connecting = new CallControl(this.#connectTimeoutMs, control.signal);
    try {
      if ((await connecting.race(this.#sessions.connect())) === "error") {
        throw noConnection(this.address, this.#sessions.error());
      }
    } catch (error) {
      if (connecting.signal.aborted && !control.signal.aborted) {
        throw noConnection(this.address, `no answer in ${this.#connectTimeoutMs} ms`);
      }
      throw error;
    } finally {
      connecting.release();
    }
  }

  headers(): Headers {
    const headers = new Headers({ "user-agent": USER_AGENT });
    if (this.#authorization !== undefined) {
      headers.set("authorization", this.#authorization);
    }
    return headers;
  }

  /** Cancels running calls and closes the connection. */
  close(): void {
    this.#sessions.abort();
  }
}

/** Returns the duration, or throws if it is invalid. */
export function checkMs(name: string, ms: number | undefined): number | undefined {
  if (ms !== undefined && !(ms > 0)) {
    throw badOptions(`${name} is ${ms}; it must be a number of milliseconds greater than 0`);
  }
  return ms;
}

function addressOf(options: Options): string {
  const given = (options.address ?? DEFAULT_ADDRESS).trim();
  const wantsTls = options.caCertificate !== undefined || options.clientCertificate !== undefined;
  const url = parse(given.includes("://") ? given : `${wantsTls ? "https" : "http"}://${given}`);
  if (url?.protocol !== "https:" && url?.protocol !== "http:") {
    throw badOptions(`address ${JSON.stringify(given)}: use http://host:port, https://host:port or host:port`);
  }
  if (url.pathname !== "/" || url.search !== "") {
    throw badOptions(`address ${JSON.stringify(given)}: must not have a path`);
  }
  if (wantsTls && url.protocol === "http:") {
    throw badOptions("certificates need an https:// address");
  }
  return url.origin;
}

function parse(address: string): URL | undefined {
  try {
    return new URL(address);
  } catch {
    return undefined;
  }
}

/** Checks the token, because the error of an invalid header would show it. */
function authorizationOf({ bearerToken }: Options): string | undefined {
  if (bearerToken !== undefined && !/^[\x21-\x7e]+$/.test(bearerToken)) {
    throw badOptions("the bearer token is empty or has characters that a header must not have");
  }
  return bearerToken && `Bearer ${bearerToken}`;
}
