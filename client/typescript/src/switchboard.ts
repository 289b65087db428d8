/** Calls: headers, deadline, cancellation, and resending of unprocessed calls. */

import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { CallControl } from "./call-control.js";
import { Collected } from "./collect.js";
import { checkMs, Connection, type Options } from "./connect.js";
import { toSwitchboardError } from "./error.js";
import * as pb from "./gen/pb.js";
import { ask } from "./request.js";
import { resending } from "./resend.js";
import { EventStream } from "./stream.js";
import { writeTraceContext } from "./trace.js";

/** Options of one call. */
export interface CallOptions {
  /** Cancels the call, also at Bedrock. */
  readonly signal?: AbortSignal | undefined;
  /** Deadline instead of the connection's, in milliseconds. */
  readonly deadlineMs?: number | undefined;
}

/** Connection to Switchboard. Calls can run concurrently. */
export class Switchboard {
  readonly #connection: Connection;
  readonly #deadlineMs: number | undefined;

  private constructor(connection: Connection, deadlineMs: number | undefined) {
    this.#connection = connection;
    this.#deadlineMs = checkMs("deadlineMs", deadlineMs);
  }

  /** Opens a connection. The options can be an address. A broken connection is reopened by the next call. */
  static async connect(
    options: string | Options = {},
    { signal }: Pick<CallOptions, "signal"> = {},
  ): Promise<Switchboard> {
    const switchboard = Switchboard.connectLazy(options);
    const connection = switchboard.#connection;
    const control = new CallControl(switchboard.#deadlineMs, signal);
    try {
      await connection.open(control);
      return switchboard;
    } catch (thrown) {
      connection.close();
      throw control.explain(thrown);
    } finally {
      control.release();
    }
  }

  /** Opens the connection with the first call, so that a program can start before Switchboard does. */
  static connectLazy(options: string | Options = {}): Switchboard {
    const all = typeof options === "string" ? { address: options } : options;
    return new Switchboard(new Connection(all), all.deadlineMs);
  }

  /** Returns a client with the same connection and another deadline for each call, in milliseconds. */
  withDeadline(deadlineMs: number): Switchboard {
    return new Switchboard(this.#connection, deadlineMs);
  }

  /** Sends one prompt and returns the text of the answer. {@link converse} also returns the stop reason. */
  async text(task: string, prompt: string, options?: CallOptions): Promise<string> {
    return Collected.from(await this.converse(ask(task, prompt), options)).text();
  }

  /** Generates an answer and returns it when it is complete. */
  converse(
    request: MessageInitShape<typeof pb.ConverseRequestSchema>,
    options?: CallOptions,
  ): Promise<pb.ConverseResponse> {
    return this.call(pb.ConverseService.method.converse, request, options);
  }

  /** Generates an answer and streams it. The call is sent with the first read. */
  stream(request: MessageInitShape<typeof pb.ConverseRequestSchema>, options: CallOptions = {}): EventStream {
    return new EventStream(this.#replies(create(pb.ConverseRequestSchema, request), options));
  }

  /** Counts the input tokens of a request, free of charge. */
  countTokens(
    request: MessageInitShape<typeof pb.CountTokensRequestSchema>,
    options?: CallOptions,
  ): Promise<pb.CountTokensResponse> {
    return this.call(pb.ConverseService.method.countTokens, request, options);
  }

  /** Lists every task of the configuration and the models that serve it. */
  tasks(options?: CallOptions): Promise<pb.ListTasksResponse> {
    return this.call(pb.RoutingService.method.listTasks, {}, options);
  }

  /** Describes what a call for this task, or with this request, would do now. Calls no model. */
  explain(
    taskOrRequest: string | MessageInitShape<typeof pb.ConverseRequestSchema>,
    options?: CallOptions,
  ): Promise<pb.ExplainRouteResponse> {
    const explain = typeof taskOrRequest === "string" ? { taskType: taskOrRequest } : { request: taskOrRequest };
    return this.call(pb.RoutingService.method.explainRoute, explain, options);
  }

  /**
   * Records feedback on the answer with the request id of its route. A later judgement by the same judge for
   * the same criterion replaces the earlier one.
   */
  recordFeedback(
    feedback: MessageInitShape<typeof pb.RecordFeedbackRequestSchema>,
    options?: CallOptions,
  ): Promise<pb.RecordFeedbackResponse> {
    return this.call(pb.FeedbackService.method.recordFeedback, feedback, options);
  }

  /** Calls any unary method of the contract, such as `pb.RoutingService.method.explainRoute`. */
  async call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions = {},
  ): Promise<MessageShape<O>> {
    const { transport } = this.#connection;
    const once = async function* (control: CallControl, headers: Headers): AsyncGenerator<MessageShape<O>> {
      yield (await transport.unary(method, control.signal, undefined, headers, request)).message;
    };
    for await (const reply of this.#send(options, once)) {
      return reply;
    }
    throw toSwitchboardError(new Error("no reply")); // not reached: Connect throws if there is no reply
  }

  /** Cancels running calls and closes the connection. An idle connection does not keep a program running. */
  close(): void {
    this.#connection.close();
  }

  #replies(
    request: pb.ConverseRequest,
    options: CallOptions,
  ): AsyncGenerator<pb.ConverseStreamResponse, void, undefined> {
    const { transport } = this.#connection;
    const method = pb.ConverseService.method.converseStream;
    return this.#send(options, async function* (control, headers) {
      yield* (await transport.stream(method, control.signal, undefined, headers, only(request))).message;
    });
  }

  /** Sends a call, and cancels it when its reader stops. */
  async *#send<T>(
    options: CallOptions,
    send: (control: CallControl, headers: Headers) => AsyncIterable<T>,
  ): AsyncGenerator<T, void, undefined> {
    const control = new CallControl(checkMs("deadlineMs", options.deadlineMs) ?? this.#deadlineMs, options.signal);
    const attempt = async function* (this: Switchboard): AsyncGenerator<T> {
      await this.#connection.open(control);
      yield* send(control, await this.#headers(control));
    };
    try {
      yield* resending(control, attempt.bind(this));
    } finally {
      control.release();
    }
  }

  async #headers(control: CallControl): Promise<Headers> {
    const headers = this.#connection.headers();
    const timeout = control.timeout();
    if (timeout !== undefined) {
      headers.set("grpc-timeout", timeout);
    }
    await writeTraceContext(headers);
    return headers;
  }
}

async function* only<T>(message: T): AsyncGenerator<T> {
  yield message;
}
