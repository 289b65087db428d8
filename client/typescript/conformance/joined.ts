/** The pieces of a stream as a turn of history, as a team without our layer would write it for what it uses itself. */

import { create } from "@bufbuild/protobuf";
import * as pb from "../src/gen/pb.js";

interface Pieces {
  words: string;
  tool?: { toolUseId: string; name: string; input: string };
  thought?: { text: string; signature: string };
}

export function joined(replies: readonly pb.ConverseStreamResponse[]): pb.Message {
  const blocks = new Map<number, Pieces>();
  for (const { event } of replies) {
    if (event.case === "restart") {
      blocks.clear();
    } else if (event.case === "contentBlockStart") {
      piecesAt(blocks, event.value.contentBlockIndex, event.value.start?.start);
    } else if (event.case === "contentBlockDelta") {
      append(piecesAt(blocks, event.value.contentBlockIndex), event.value.delta?.delta);
    }
  }
  const inOrder = [...blocks].sort(([one], [other]) => one - other);
  return create(pb.MessageSchema, { role: "assistant", content: inOrder.flatMap(([, pieces]) => contentOf(pieces)) });
}

function piecesAt(blocks: Map<number, Pieces>, index: number, start?: pb.ContentBlockStart["start"]): Pieces {
  const pieces = blocks.get(index) ?? { words: "" };
  if (start?.case === "toolUse") {
    pieces.tool = { toolUseId: start.value.toolUseId, name: start.value.name, input: "" };
  }
  blocks.set(index, pieces);
  return pieces;
}

function append(pieces: Pieces, delta?: pb.ContentBlockDelta["delta"]): void {
  if (delta?.case === "text") {
    pieces.words += delta.value;
  } else if (delta?.case === "toolUse" && pieces.tool) {
    pieces.tool.input += delta.value.input;
  } else if (delta?.case === "reasoningContent") {
    const thought = (pieces.thought ??= { text: "", signature: "" });
    const piece = delta.value.delta;
    thought.text += piece.case === "text" ? piece.value : "";
    thought.signature += piece.case === "signature" ? piece.value : "";
  }
}

function contentOf({ words, tool, thought }: Pieces): pb.ContentBlock[] {
  const blocks: pb.ContentBlock["block"][] = [];
  if (thought) {
    const value = create(pb.ReasoningTextBlockSchema, thought);
    const reasoning = create(pb.ReasoningContentBlockSchema, { block: { case: "reasoningText", value } });
    blocks.push({ case: "reasoningContent", value: reasoning });
  }
  if (words.trim() !== "") {
    blocks.push({ case: "text", value: words });
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
