/** Calls through generated types and Connect only. */

import { create, fromJson, toJson, type JsonValue } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type CallOptions, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import * as rpc from "../src/gen/google/rpc/error_details_pb.js";
import * as pb from "../src/gen/pb.js";
import { joined } from "./joined.js";
import {
  abortAfterSending,
  endedWith,
  eventJson,
  isUnary,
  methodNamed,
  nextTurn,
  type Call,
  type Failure,
  type Play,
  type Reply,
} from "./protocol.js";

export function plain(baseUrl: string): Play {
  const sessionManager = new Http2SessionManager(baseUrl);
  const transport = createGrpcTransport({ baseUrl, sessionManager, readMaxBytes: 64 << 20 });
  return async (call) => {
    try {
      await sessionManager.connect(); // so that a call that is cancelled at once has a connection
      return await play(transport, call);
    } catch (error) {
      return { error: failureOf(ConnectError.from(error)) };
    }
  };
}

async function play(transport: Transport, call: Call): Promise<Reply> {
  const { reply, message } = await ask(transport, call);
  if (call.then !== "history" || message === undefined) {
    return reply;
  }
  return (await ask(transport, { rpc: "Converse", request: nextTurn(call, message) })).reply;
}

async function ask(transport: Transport, call: Call): Promise<{ reply: Reply; message?: pb.Message | undefined }> {
  const method = methodNamed(call.rpc);
  const controller = new AbortController();
  const options: CallOptions = {
    signal: controller.signal,
    ...(call.deadline_ms !== undefined && { timeoutMs: call.deadline_ms }),
  };
  if (method.methodKind === "server_streaming") {
    return stream(transport, call, options, controller);
  }
  if (!isUnary(method)) {
    throw new Error(`${call.rpc} is neither unary nor server-streaming`);
  }
  const request = fromJson(method.input, call.request ?? {});
  const answer = transport.unary(method, options.signal, options.timeoutMs, undefined, request);
  if (call.cancel_after_events !== undefined) {
    abortAfterSending(controller);
  }
  const { message: response } = await answer;
  const reply: Reply = { response: toJson(method.output, response) };
  if (method.output.typeName !== pb.ConverseResponseSchema.typeName) {
    return { reply };
  }
  const output = (response as pb.ConverseResponse).output?.output;
  const message = output?.case === "message" ? output.value : create(pb.MessageSchema);
  return { reply: { ...reply, text: textOf(message) }, message };
}

async function stream(
  transport: Transport,
  call: Call,
  options: CallOptions,
  controller: AbortController,
): Promise<{ reply: Reply; message?: pb.Message | undefined }> {
  const events: JsonValue[] = [];
  const replies: pb.ConverseStreamResponse[] = [];
  const request = fromJson(pb.ConverseRequestSchema, call.request ?? {});
  if (call.cancel_after_events === 0) {
    abortAfterSending(controller);
  }
  try {
    const method = pb.ConverseService.method.converseStream;
    const only = (async function* () {
      yield request;
    })();
    const answer = await transport.stream(method, options.signal, options.timeoutMs, undefined, only);
    for await (const message of answer.message) {
      if (controller.signal.aborted) {
        continue; // Connect yields replies that it read before the cancellation
      }
      replies.push(message);
      events.push(eventJson(message.event));
      if (replies.length === call.cancel_after_events) {
        controller.abort();
      }
    }
    const message = joined(replies);
    return { reply: endedWith(events, { text: textOf(message) }), message };
  } catch (error) {
    return { reply: endedWith(events, { error: failureOf(ConnectError.from(error)) }) };
  }
}

function textOf({ content }: pb.Message): string {
  return content.map(({ block }) => (block.case === "text" ? block.value : "")).join("");
}

function failureOf(error: ConnectError): Failure {
  const fields = error
    .findDetails(rpc.BadRequestSchema)
    .flatMap((bad) => bad.fieldViolations.map(({ field }) => field));
  const delay = error.findDetails(rpc.RetryInfoSchema)[0]?.retryDelay;
  return {
    code: grpcName(error.code),
    message: error.rawMessage,
    reason: error.findDetails(rpc.ErrorInfoSchema)[0]?.reason,
    retry_delay_ms: delay && durationMs(delay),
    fields: fields.length > 0 ? fields : undefined,
    request_id: error.findDetails(rpc.RequestInfoSchema)[0]?.requestId,
    attempts: error.findDetails(pb.RouteSchema)[0]?.attempts.length,
  };
}

/** Converts Connect's names ("Canceled", "DeadlineExceeded") to gRPC's. */
function grpcName(code: Code): string {
  return code === Code.Canceled ? "CANCELLED" : Code[code].replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}
