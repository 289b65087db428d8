/** Assembles a stream into a turn of history without the client's collector. */

import { create } from "@bufbuild/protobuf";
import * as pb from "../src/gen/pb.js";

interface Parts {
  text: string;
  tool?: { toolUseId: string; name: string; input: string };
  thought?: { text: string; signature: string };
}

export function joined(replies: readonly pb.ConverseStreamResponse[]): pb.Message {
  const blocks = new Map<number, Parts>();
  for (const { event } of replies) {
    if (event.case === "restart") {
      blocks.clear();
    } else if (event.case === "contentBlockStart") {
      partsAt(blocks, event.value.contentBlockIndex, event.value.start?.start);
    } else if (event.case === "contentBlockDelta") {
      append(partsAt(blocks, event.value.contentBlockIndex), event.value.delta?.delta);
    }
  }
  const inOrder = [...blocks].sort(([one], [other]) => one - other);
  return create(pb.MessageSchema, { role: "assistant", content: inOrder.flatMap(([, parts]) => contentOf(parts)) });
}

function partsAt(blocks: Map<number, Parts>, index: number, start?: pb.ContentBlockStart["start"]): Parts {
  const parts = blocks.get(index) ?? { text: "" };
  if (start?.case === "toolUse") {
    parts.tool = { toolUseId: start.value.toolUseId, name: start.value.name, input: "" };
  }
  blocks.set(index, parts);
  return parts;
}

function append(parts: Parts, delta?: pb.ContentBlockDelta["delta"]): void {
  if (delta?.case === "text") {
    parts.text += delta.value;
  } else if (delta?.case === "toolUse" && parts.tool) {
    parts.tool.input += delta.value.input;
  } else if (delta?.case === "reasoningContent") {
    const thought = (parts.thought ??= { text: "", signature: "" });
    const part = delta.value.delta;
    thought.text += part.case === "text" ? part.value : "";
    thought.signature += part.case === "signature" ? part.value : "";
  }
}

function contentOf({ text, tool, thought }: Parts): pb.ContentBlock[] {
  const blocks: pb.ContentBlock["block"][] = [];
  if (thought) {
    const value = create(pb.ReasoningTextBlockSchema, thought);
    const reasoning = create(pb.ReasoningContentBlockSchema, { block: { case: "reasoningText", value } });
    blocks.push({ case: "reasoningContent", value: reasoning });
  }
  if (text.trim() !== "") {
    blocks.push({ case: "text", value: text });
  }
  if (tool) {
    const { toolUseId, name, input } = tool;
    const value = create(pb.ToolUseBlockSchema, {
      toolUseId,
      name,
      arguments: { case: "inputJson", value: input === "" ? "{}" : input },
    });
    blocks.push({ case: "toolUse", value });
  }
  return blocks.map((block) => create(pb.ContentBlockSchema, { block }));
}
