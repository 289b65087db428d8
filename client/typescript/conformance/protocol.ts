/**
 * Protocol between the runner of the conformance suite and the driver: a line for each call and each result.
 */

import {
  create,
  toJson,
  type DescMethod,
  type DescMethodUnary,
  type DescService,
  type JsonObject,
  type JsonValue,
} from "@bufbuild/protobuf";
import { pb, type Event } from "../src/index.js";

export interface Call {
  readonly rpc: string;
  readonly request?: JsonValue;
  readonly deadline_ms?: number;
  readonly cancel_after_events?: number;
  readonly then?: "history";
  /** Span of the caller, as in the header `traceparent`. */
  readonly traceparent?: string;
}

export interface Reply {
  response?: JsonValue;
  events?: JsonValue[];
  text?: string;
  message?: JsonValue;
  tool_uses?: { tool_use_id: string; name: string; input_json: string }[];
  error?: Failure;
}

export interface Failure {
  code: string;
  message: string;
  reason?: string | undefined;
  retry_delay_ms?: number | undefined;
  fields?: string[] | undefined;
  request_id?: string | undefined;
  attempts?: number | undefined;
}

/** Makes a call and returns its result. */
export type Play = (call: Call) => Promise<Reply>;

/** Finds a method in all services of the contract. */
export function methodNamed(rpc: string): DescMethod {
  const isService = (it: unknown): it is DescService => (it as { kind?: unknown }).kind === "service";
  const services = Object.values<unknown>(pb).filter(isService);
  const method = services.flatMap((service) => service.methods).find((method) => method.name === rpc);
  if (method === undefined) {
    throw new Error(`the contract has no method ${rpc}`);
  }
  return method;
}

export function isUnary(method: DescMethod): method is DescMethodUnary & DescMethod {
  return method.methodKind === "unary";
}

export function eventJson(event: pb.ConverseStreamResponse["event"] | Event): JsonValue {
  return toJson(pb.ConverseStreamResponseSchema, create(pb.ConverseStreamResponseSchema, { event }));
}

/** Returns the request of the next turn: the answer as history, followed by a question. */
export function nextTurn({ request }: Call, answer: pb.Message): JsonObject {
  const before = request as JsonObject;
  const messages = before["messages"] as JsonValue[];
  const question = { role: "user", content: [{ text: "and now?" }] };
  return { ...before, messages: [...messages, toJson(pb.MessageSchema, answer), question] };
}

/** Time for sending a call that is cancelled at once. A call that is not sent proves nothing. */
const TIME_TO_SEND_MS = 100;

export function abortAfterSending(controller: AbortController): void {
  setTimeout(() => controller.abort(), TIME_TO_SEND_MS);
}

/** Returns the result of a stream: its events and how it ended. */
export function endedWith(events: JsonValue[], end: Reply): Reply {
  return { ...(events.length > 0 && { events }), ...end };
}
