/** Calls through the client. */

import { fromJson, toJson, type JsonValue } from "@bufbuild/protobuf";
import { Collected, Collector, pb, Switchboard, SwitchboardError, type CallOptions } from "../src/index.js";
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

/** The connection opens with the first call. */
export function layer(address: string): Play {
  let connected: Promise<Switchboard> | undefined;
  return async (call) => {
    try {
      return await play(await (connected ??= Switchboard.connect(address)), call);
    } catch (error) {
      return { error: failureOf(error) };
    }
  };
}

async function play(switchboard: Switchboard, call: Call): Promise<Reply> {
  const { reply, collected } = await ask(switchboard, call);
  if (call.then !== "history" || collected === undefined) {
    return reply;
  }
  const request = fromJson(pb.ConverseRequestSchema, nextTurn(call, collected.message));
  return answered(await switchboard.converse(request)).reply;
}

async function ask(switchboard: Switchboard, call: Call): Promise<{ reply: Reply; collected?: Collected }> {
  const method = methodNamed(call.rpc);
  const controller = new AbortController();
  const options: CallOptions = { signal: controller.signal, deadlineMs: call.deadline_ms };
  if (method.methodKind === "server_streaming") {
    return stream(switchboard, call, options, controller);
  }
  if (!isUnary(method)) {
    throw new Error(`${call.rpc} is neither unary nor server-streaming`);
  }
  const answer = switchboard.call(method, fromJson(method.input, call.request ?? {}), options);
  if (call.cancel_after_events !== undefined) {
    abortAfterSending(controller);
  }
  const response = await answer;
  return method.output.typeName === pb.ConverseResponseSchema.typeName
    ? answered(response as pb.ConverseResponse)
    : { reply: { response: toJson(method.output, response) } };
}

async function stream(
  switchboard: Switchboard,
  call: Call,
  options: CallOptions,
  controller: AbortController,
): Promise<{ reply: Reply; collected?: Collected }> {
  const events: JsonValue[] = [];
  const collector = new Collector();
  if (call.cancel_after_events === 0) {
    abortAfterSending(controller);
  }
  try {
    for await (const event of switchboard.stream(fromJson(pb.ConverseRequestSchema, call.request ?? {}), options)) {
      events.push(eventJson(event));
      collector.push(event);
      if (events.length === call.cancel_after_events) {
        controller.abort();
      }
    }
    const collected = collector.finish();
    return { reply: endedWith(events, fieldsOf(collected)), collected };
  } catch (error) {
    return { reply: endedWith(events, { error: failureOf(error) }) };
  }
}

function answered(response: pb.ConverseResponse): { reply: Reply; collected: Collected } {
  const collected = Collected.from(response);
  return { reply: { response: toJson(pb.ConverseResponseSchema, response), ...fieldsOf(collected) }, collected };
}

function fieldsOf(collected: Collected): Reply {
  const toolUses = collected.toolUses().map(({ toolUseId, name, inputJson }) => {
    return { tool_use_id: toolUseId, name, input_json: inputJson };
  });
  return {
    text: collected.text(),
    message: toJson(pb.MessageSchema, collected.message),
    ...(toolUses.length > 0 && { tool_uses: toolUses }),
  };
}

function failureOf(error: unknown): Failure {
  if (!(error instanceof SwitchboardError)) {
    throw error;
  }
  const { code, message, reason, retryDelayMs, fieldViolations, requestId, route } = error;
  return {
    code,
    message,
    reason,
    retry_delay_ms: retryDelayMs,
    fields: fieldViolations.length > 0 ? fieldViolations.map(({ field }) => field) : undefined,
    request_id: requestId,
    attempts: route?.attempts.length,
  };
}
