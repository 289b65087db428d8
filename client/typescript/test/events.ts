/** Short constructors of events. */

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { pb, type Event } from "../src/index.js";

type Delta = NonNullable<MessageInitShape<typeof pb.ContentBlockDeltaSchema>["delta"]>;
type Start = NonNullable<MessageInitShape<typeof pb.ContentBlockStartSchema>["start"]>;

export function event(event: MessageInitShape<typeof pb.ConverseStreamResponseSchema>["event"]): Event {
  return create(pb.ConverseStreamResponseSchema, { ...(event && { event }) }).event as Event;
}

export const route = event({ case: "route", value: { modelId: "haiku", requestId: "r1" } });
export const begin = event({ case: "messageStart", value: { role: "assistant" } });
export const restart = event({ case: "restart", value: { reason: pb.ErrorReason.MODEL_ERROR } });
export const metadata = event({
  case: "metadata",
  value: { usage: { inputTokens: 3, outputTokens: 2, totalTokens: 5 } },
});

export function stop(stopReason: pb.StopReason, rawStopReason: string): Event {
  return event({ case: "messageStop", value: { stopReason, rawStopReason } });
}

export function delta(contentBlockIndex: number, delta: Delta): Event {
  return event({ case: "contentBlockDelta", value: { contentBlockIndex, delta: { delta } } });
}

export function starts(contentBlockIndex: number, start: Start): Event {
  return event({ case: "contentBlockStart", value: { contentBlockIndex, start: { start } } });
}

export function text(index: number, value: string): Event {
  return delta(index, { case: "text", value });
}

export function tool(index: number, toolUseId: string, name: string): Event {
  return starts(index, { case: "toolUse", value: { toolUseId, name } });
}

export function toolInput(index: number, input: string): Event {
  return delta(index, { case: "toolUse", value: { input } });
}

/** Complete answer with this text. */
export function says(...parts: string[]): Event[] {
  const deltas = parts.map((part) => text(0, part));
  return [route, begin, ...deltas, stop(pb.StopReason.END_TURN, "end_turn"), metadata];
}

export function answer(text: string): pb.ConverseResponse {
  return create(pb.ConverseResponseSchema, {
    output: {
      output: { case: "message", value: { role: "assistant", content: [{ block: { case: "text", value: text } }] } },
    },
    stopReason: pb.StopReason.END_TURN,
    rawStopReason: "end_turn",
    route: { modelId: "haiku", requestId: "r1" },
  });
}

/** Collects all items. */
export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) {
    list.push(item);
  }
  return list;
}
