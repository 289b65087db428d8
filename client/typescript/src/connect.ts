/** How to reach Switchboard: the address, TLS, the token, and how long to wait. */

import type { Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { badOptions, noConnection } from "./error.js";
import { Leash } from "./leash.js";

/** Where `switchboard serve` and `switchboard demo` listen unless told otherwise. */
export const DEFAULT_ADDRESS = "http://127.0.0.1:50051";

/** The largest message sent or received, in bytes: gRPC's usual 4 MiB cannot hold Bedrock's documents and pictures. */
export const MAX_MESSAGE_BYTES = 64 << 20;

const CONNECT_TIMEOUT_MS = 10_000;

/** Less than a minute would annoy the proxies between. */
const KEEP_ALIVE_MS = 60_000;

/** How long a probe may stay unanswered before the connection counts as broken. */
const KEEP_ALIVE_TIMEOUT_MS = 20_000;

const USER_AGENT = "switchboard-client-typescript/0.1.0";

/** How to reach Switchboard. */
export interface Options {
  /**
   * Plain HTTP/2 for `http://host:port` and `host:port`, TLS for `https://host:port`. Absent: {@link DEFAULT_ADDRESS}.
   */
  readonly address?: string | undefined;
  /** Sent as `authorization: Bearer …` with every call. */
  readonly bearerToken?: string | undefined;
  /** Trusts the certificates in this PEM text, and no others. Implies TLS. Absent: those that Node trusts. */
  readonly caCertificate?: string | Buffer | undefined;
  /** Shows this certificate (PEM, with its chain) to the server. Implies TLS. */
  readonly clientCertificate?: { readonly certificate: string | Buffer; readonly key: string | Buffer } | undefined;
  /**
   * How long each call may take, to the end of its stream, in milliseconds; Switchboard and Bedrock stop then too.
   * Absent: the task's own deadline holds.
   */
  readonly deadlineMs?: number | undefined;
  /** How long a connection may take to open, in milliseconds; never longer than the deadline. Absent: 10 seconds. */
  readonly connectTimeoutMs?: number | undefined;
  /** How often a quiet connection is probed during a call, in milliseconds. Absent: every 60 seconds. */
  readonly keepAliveMs?: number | undefined;
  /** The largest message received, in bytes. Absent: {@link MAX_MESSAGE_BYTES}. */
  readonly maxMessageBytes?: number | undefined;
  /** False: a call is never sent a second time. Absent: it is, where gRPC's rules allow it. */
  readonly retry?: boolean | undefined;
}

/** A connection that opens when it is needed, and again when it breaks. */
export class Connection {
  readonly address: string;
  readonly transport: Transport;
  readonly retry: boolean;
  readonly #connectTimeoutMs: number;
  readonly #authorization: string | undefined;
  readonly #sessions: Http2SessionManager;

  constructor(options: Options) {
    this.address = addressOf(options);
    this.retry = options.retry ?? true;
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
        // Node refuses new calls while more than 10 MB are in flight, which is less than one message may have.
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
  async open(leash: Leash): Promise<void> {
    const patience = new Leash(this.#connectTimeoutMs, leash.signal);
    try {
      if ((await patience.race(this.#sessions.connect())) === "error") {
        throw noConnection(this.address, this.#sessions.error());
      }
    } catch (error) {
      if (patience.signal.aborted && !leash.signal.aborted) {
        throw noConnection(this.address, `no answer in ${this.#connectTimeoutMs} ms`);
      }
      throw error;
    } finally {
      patience.release();
    }
  }

  headers(): Headers {
    const headers = new Headers({ "user-agent": USER_AGENT });
    if (this.#authorization !== undefined) {
      headers.set("authorization", this.#authorization);
    }
    return headers;
  }

  /** Calls that run are ended. */
  close(): void {
    this.#sessions.abort();
  }
}

/** The duration itself, if it is one. */
export function checkMs(name: string, ms: number | undefined): number | undefined {
  if (ms !== undefined && !(ms > 0)) {
    throw badOptions(`${name} is ${ms}, not a number of milliseconds above 0`);
  }
  return ms;
}

function addressOf(options: Options): string {
  const given = (options.address ?? DEFAULT_ADDRESS).trim();
  const wantsTls = options.caCertificate !== undefined || options.clientCertificate !== undefined;
  const url = parse(given.includes("://") ? given : `${wantsTls ? "https" : "http"}://${given}`);
  if (url?.protocol !== "https:" && url?.protocol !== "http:") {
    throw badOptions(`address ${JSON.stringify(given)}: neither http://host:port nor https://host:port`);
  }
  if (url.pathname !== "/" || url.search !== "") {
    throw badOptions(`address ${JSON.stringify(given)}: gRPC has no place for a path`);
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

/** Checked here, since the error of a header that cannot be sent would show the token. */
function authorizationOf({ bearerToken }: Options): string | undefined {
  if (bearerToken !== undefined && !/^[\x21-\x7e]+$/.test(bearerToken)) {
    throw badOptions("the bearer token is empty or has characters that a header cannot carry");
  }
  return bearerToken && `Bearer ${bearerToken}`;
}
