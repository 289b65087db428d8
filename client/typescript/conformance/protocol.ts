/** One line in, one line out: what the conformance suite asks of a client, and what it wants to know. */

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

/** A client, as the suite sees it. */
export type Play = (call: Call) => Promise<Reply>;

/** Looked up among all services, so that a new method of the contract needs no line here. */
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

/** The request of the next turn: the answer as history, and a question after it. */
export function nextTurn({ request }: Call, answer: pb.Message): JsonObject {
  const before = request as JsonObject;
  const messages = before["messages"] as JsonValue[];
  const question = { role: "user", content: [{ text: "and now?" }] };
  return { ...before, messages: [...messages, toJson(pb.MessageSchema, answer), question] };
}

/** How long a call that is to be cancelled at once is given to leave: one never sent proves nothing. */
const TIME_TO_LEAVE_MS = 100;

export function abortAfterSending(controller: AbortController): void {
  setTimeout(() => controller.abort(), TIME_TO_LEAVE_MS);
}

/** What came of a stream before it ended in this way. */
export function endedWith(events: JsonValue[], end: Reply): Reply {
  return { ...(events.length > 0 && { events }), ...end };
}
