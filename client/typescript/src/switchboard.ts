/** The calls themselves: headers, deadline, cancellation, and the one retry. */

import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { Collected } from "./collect.js";
import { checkMs, Connection, type Options } from "./connect.js";
import { ended } from "./error.js";
import * as pb from "./gen/pb.js";
import { Leash } from "./leash.js";
import { ask } from "./request.js";
import { retrying } from "./retry.js";
import { EventStream } from "./stream.js";
import { writeTraceContext } from "./trace.js";

/** What one call may have of its own. */
export interface CallOptions {
  /** Ends the call, at Bedrock too. */
  readonly signal?: AbortSignal | undefined;
  /** In place of the connection's, in milliseconds. */
  readonly deadlineMs?: number | undefined;
}

/** A connection to Switchboard; calls run side by side. */
export class Switchboard {
  readonly #connection: Connection;
  readonly #deadlineMs: number | undefined;

  private constructor(connection: Connection, deadlineMs: number | undefined) {
    this.#connection = connection;
    this.#deadlineMs = checkMs("deadlineMs", deadlineMs);
  }

  /** Opens a connection; an address alone will do. It opens itself again when it breaks. */
  static async connect(
    options: string | Options = {},
    { signal }: Pick<CallOptions, "signal"> = {},
  ): Promise<Switchboard> {
    const switchboard = Switchboard.connectLazy(options);
    const connection = switchboard.#connection;
    const leash = new Leash(switchboard.#deadlineMs, signal);
    try {
      await connection.open(leash);
      return switchboard;
    } catch (thrown) {
      connection.close();
      throw leash.explain(thrown);
    } finally {
      leash.release();
    }
  }

  /** Leaves opening the connection to the first call, so that a program can start before Switchboard does. */
  static connectLazy(options: string | Options = {}): Switchboard {
    const whole = typeof options === "string" ? { address: options } : options;
    return new Switchboard(new Connection(whole), whole.deadlineMs);
  }

  /** The same connection with another deadline for each call, in milliseconds. */
  withDeadline(deadlineMs: number): Switchboard {
    return new Switchboard(this.#connection, deadlineMs);
  }

  /** Asks one question and returns the words of the answer. {@link converse} also says why they ended. */
  async text(task: string, prompt: string, options?: CallOptions): Promise<string> {
    return Collected.from(await this.converse(ask(task, prompt), options)).text();
  }

  /** Asks for an answer, whole. */
  converse(
    request: MessageInitShape<typeof pb.ConverseRequestSchema>,
    options?: CallOptions,
  ): Promise<pb.ConverseResponse> {
    return this.call(pb.ConverseService.method.converse, request, options);
  }

  /** Asks for an answer while it is generated. The call begins with the first read. */
  stream(request: MessageInitShape<typeof pb.ConverseRequestSchema>, options: CallOptions = {}): EventStream {
    return new EventStream(this.#replies(create(pb.ConverseRequestSchema, request), options));
  }

  /** Counts the tokens of a request, free of charge. */
  countTokens(
    request: MessageInitShape<typeof pb.CountTokensRequestSchema>,
    options?: CallOptions,
  ): Promise<pb.CountTokensResponse> {
    return this.call(pb.ConverseService.method.countTokens, request, options);
  }

  /** Every task that the configuration names, and the models that serve it. */
  tasks(options?: CallOptions): Promise<pb.ListTasksResponse> {
    return this.call(pb.RoutingService.method.listTasks, {}, options);
  }

  /** What a call for this task, or with this request, would do now. Calls no model. */
  explain(
    asked: string | MessageInitShape<typeof pb.ConverseRequestSchema>,
    options?: CallOptions,
  ): Promise<pb.ExplainRouteResponse> {
    const question = typeof asked === "string" ? { taskType: asked } : { request: asked };
    return this.call(pb.RoutingService.method.explainRoute, question, options);
  }

  /**
   * Says what became of an answer, which the request id of its route names. Said again by the same judge it takes the
   * place of what was said before.
   */
  recordFeedback(
    feedback: MessageInitShape<typeof pb.RecordFeedbackRequestSchema>,
    options?: CallOptions,
  ): Promise<pb.RecordFeedbackResponse> {
    return this.call(pb.FeedbackService.method.recordFeedback, feedback, options);
  }

  /** Any other method of the contract that answers once, such as `pb.RoutingService.method.explainRoute`. */
  async call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions = {},
  ): Promise<MessageShape<O>> {
    const { transport } = this.#connection;
    const once = async function* (leash: Leash, headers: Headers): AsyncGenerator<MessageShape<O>> {
      yield (await transport.unary(method, leash.signal, undefined, headers, request)).message;
    };
    for await (const reply of this.#send(options, once)) {
      return reply;
    }
    throw ended(new Error("no reply")); // Connect throws before it would come to this
  }

  /** Ends every call that runs, and the connection. An idle connection keeps no program running. */
  close(): void {
    this.#connection.close();
  }

  #replies(
    request: pb.ConverseRequest,
    options: CallOptions,
  ): AsyncGenerator<pb.ConverseStreamResponse, void, undefined> {
    const { transport } = this.#connection;
    const method = pb.ConverseService.method.converseStream;
    return this.#send(options, async function* (leash, headers) {
      yield* (await transport.stream(method, leash.signal, undefined, headers, only(request))).message;
    });
  }

  /** Makes a call's attempts, and ends it when its reader leaves. */
  async *#send<T>(
    options: CallOptions,
    begin: (leash: Leash, headers: Headers) => AsyncIterable<T>,
  ): AsyncGenerator<T, void, undefined> {
    const leash = new Leash(checkMs("deadlineMs", options.deadlineMs) ?? this.#deadlineMs, options.signal);
    const attempt = async function* (this: Switchboard, previousAttempts: number): AsyncGenerator<T> {
      await this.#connection.open(leash);
      yield* begin(leash, await this.#headers(leash, previousAttempts));
    };
    try {
      yield* retrying(leash, this.#connection.retry ? 2 : 1, attempt.bind(this));
    } finally {
      leash.release();
    }
  }

  async #headers(leash: Leash, previousAttempts: number): Promise<Headers> {
    const headers = this.#connection.headers();
    const timeout = leash.timeout();
    if (timeout !== undefined) {
      headers.set("grpc-timeout", timeout);
    }
    if (previousAttempts > 0) {
      headers.set("grpc-previous-rpc-attempts", String(previousAttempts));
    }
    await writeTraceContext(headers);
    return headers;
  }
}

async function* only<T>(message: T): AsyncGenerator<T> {
  yield message;
}
