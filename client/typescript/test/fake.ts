/** Fake server that returns prepared answers and records the calls it receives. */

import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { once } from "node:events";
import * as http2 from "node:http2";
import type { AddressInfo } from "node:net";
import type { SecureServerOptions, ServerHttp2Session } from "node:http2";
import { pb, Switchboard, type Event, type Options } from "../src/index.js";

/** Answer to the next call; throws for a failure. */
export type Answer = (seen: Seen, fake: Fake) => pb.ConverseResponse | AsyncIterable<Event> | Event[];

/** Received call. */
export interface Seen {
  readonly headers: Headers;
  readonly request: pb.ConverseRequest;
  /** Aborted when the caller cancels. */
  readonly signal: AbortSignal;
}

/** Running fake server; stops when disposed. */
export class Fake implements AsyncDisposable {
  readonly seen: Seen[] = [];
  readonly sessions = new Set<ServerHttp2Session>();
  readonly #answers: Answer[];
  readonly #server: http2.Http2Server;
  readonly #scheme: string;
  readonly #clients: Switchboard[] = [];

  private constructor(answers: Answer[], tls: SecureServerOptions | undefined) {
    this.#answers = answers;
    const adapter = connectNodeAdapter({ connect: false, grpcWeb: false, routes: (router) => this.#route(router) });
    this.#server = tls ? http2.createSecureServer(tls, adapter) : http2.createServer(adapter);
    this.#scheme = tls ? "https" : "http";
    this.#server.on("session", (session) => {
      this.sessions.add(session);
      session.on("error", () => {}); // tests break connections
      session.on("close", () => this.sessions.delete(session));
    });
  }

  static async playing(answers: Answer[], tls?: SecureServerOptions): Promise<Fake> {
    const fake = new Fake(answers, tls);
    fake.#server.listen(0, "127.0.0.1");
    await once(fake.#server, "listening");
    return fake;
  }

  get address(): string {
    return `${this.#scheme}://localhost:${(this.#server.address() as AddressInfo).port}`;
  }

  async client(options: Options = {}): Promise<Switchboard> {
    const client = await Switchboard.connect({ address: this.address, ...options });
    this.#clients.push(client);
    return client;
  }

  /** Breaks every connection, like a crash. */
  crash(): void {
    this.sessions.forEach((session) => session.destroy());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#clients.forEach((client) => client.close());
    this.crash();
    this.#server.close();
    await once(this.#server, "close");
  }

  #route(router: Parameters<NonNullable<Parameters<typeof connectNodeAdapter>[0]["routes"]>>[0]): void {
    const play = this.#play.bind(this);
    router.service(pb.ConverseService, {
      async converse(request, context) {
        return play(request, context) as pb.ConverseResponse;
      },
      async *converseStream(request, context) {
        for await (const event of play(request, context) as AsyncIterable<Event>) {
          yield create(pb.ConverseStreamResponseSchema, { event });
        }
      },
    });
  }

  #play(request: pb.ConverseRequest, { requestHeader, signal }: HandlerContext): ReturnType<Answer> {
    const seen = { request, signal, headers: requestHeader };
    this.seen.push(seen);
    const answer = this.#answers.shift();
    if (answer === undefined) {
      throw new ConnectError("no answer is prepared", Code.Internal);
    }
    return answer(seen, this);
  }
}

export function fails(
  code: Code,
  message: string,
  trailers: Record<string, string> = {},
  ...details: ConnectError["details"]
): Answer {
  return () => {
    const error = new ConnectError(message, code, trailers);
    error.details = details;
    throw error;
  };
}

/** Returns the events, then the failure. */
export function breaksOff(events: Event[], failure: Answer): Answer {
  return async function* (seen, fake) {
    yield* events;
    yield* failure(seen, fake) as AsyncIterable<Event>;
  };
}

/** Returns the events, then nothing until the caller cancels. */
export function hangs(events: Event[] = []): Answer {
  return async function* ({ signal }) {
    yield* events;
    await aborted(signal);
  };
}

export async function aborted(signal: AbortSignal): Promise<void> {
  await (signal.aborted || once(signal, "abort"));
}

export function detail<D extends DescMessage>(desc: D, value: MessageInitShape<D>): ConnectError["details"][number] {
  return { desc, value };
}
