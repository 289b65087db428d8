/** Assembles one content block from its deltas. */

import { create } from "@bufbuild/protobuf";
import * as pb from "../gen/pb.js";

type Start = pb.ContentBlockStart["start"];
type Delta = pb.ContentBlockDelta["delta"];
type Block = pb.ContentBlock["block"];
type Source = pb.ImageSource["source"];

/** Content received so far. */
type Content =
  /** No delta yet: the first one determines the kind of block. */
  | { kind: "empty" }
  | { kind: "text"; text: string; citations: pb.Citation[] }
  | { kind: "toolUse"; start: pb.ToolUseBlockStart; input: string }
  | { kind: "toolResult"; result: pb.ToolResultBlock }
  | { kind: "reasoning"; reasoning: Reasoning }
  | { kind: "image"; format: string; source: Source; error: pb.ErrorBlock | undefined }
  /** Exact JSON objects, in order. */
  | { kind: "unknown"; parts: string[] };

export class OpenBlock {
  #content: Content = { kind: "empty" };

  static begin(start: Start | undefined): OpenBlock {
    const block = new OpenBlock();
    block.#content = contentOf(start);
    return block;
  }

  /** Adds a delta. Returns false if it does not belong to this kind of block. */
  append(delta: Delta): boolean {
    if (this.#content.kind === "empty") {
      this.#content = kindOf(delta);
    }
    return append(this.#content, delta);
  }

  /**
   * Returns the block as it is sent back in a history: no block for blank text, and one block for each delta
   * of an unknown kind, because it is unknown how to combine them.
   */
  close(): pb.ContentBlock[] {
    return close(this.#content).map((block) => create(pb.ContentBlockSchema, { block }));
  }
}

/** Reasoning: plain text or encrypted. A model sends one or the other. */
class Reasoning {
  #text: string | undefined;
  #signature: string | undefined;
  readonly #redacted: Uint8Array[] = [];
  readonly #unknown: string[] = [];

  append({ delta }: pb.ReasoningContentBlockDelta): boolean {
    switch (delta.case) {
      case "text":
        this.#text = (this.#text ?? "") + delta.value;
        return true;
      case "signature":
        this.#signature = (this.#signature ?? "") + delta.value;
        return true;
      case "redactedContent":
        this.#redacted.push(delta.value);
        return true;
      case "unknownJson":
        this.#unknown.push(delta.value);
        return true;
      default:
        return false;
    }
  }

  close(): Block[] {
    const blocks: pb.ReasoningContentBlock["block"][] = [];
    if (this.#text !== undefined || this.#signature !== undefined) {
      const [text, signature] = [this.#text ?? "", this.#signature];
      const value = create(pb.ReasoningTextBlockSchema, { text, ...(signature !== undefined && { signature }) });
      blocks.push({ case: "reasoningText", value });
    }
    if (this.#redacted.length > 0) {
      blocks.push({ case: "redactedContent", value: concat(this.#redacted) });
    }
    blocks.push(...this.#unknown.map((value) => ({ case: "unknownJson", value }) as const));
    return blocks.map((block) => ({
      case: "reasoningContent",
      value: create(pb.ReasoningContentBlockSchema, { block }),
    }));
  }
}

function contentOf(start: Start | undefined): Content {
  switch (start?.case) {
    case "toolUse":
      return { kind: "toolUse", start: start.value, input: "" };
    case "toolResult": {
      const { toolUseId, type, status } = start.value;
      const known = { ...(type !== undefined && { type }), ...(status !== undefined && { status }) };
      return { kind: "toolResult", result: create(pb.ToolResultBlockSchema, { toolUseId, ...known }) };
    }
    case "image":
      return { kind: "image", format: start.value.format, source: { case: undefined }, error: undefined };
    case "unknownJson":
      return { kind: "unknown", parts: [start.value] };
    default:
      return { kind: "empty" };
  }
}

/**
 * Returns the kind of block that starts with this delta. Tool blocks need a start event, which has their
 * name. A delta of an unknown kind does not determine the kind of block, because known deltas can follow.
 */
function kindOf(delta: Delta): Content {
  switch (delta.case) {
    case "text":
    case "citation":
      return { kind: "text", text: "", citations: [] };
    case "reasoningContent":
      return { kind: "reasoning", reasoning: new Reasoning() };
    case "image":
      return { kind: "image", format: "", source: { case: undefined }, error: undefined };
    default:
      return { kind: "empty" };
  }
}

function append(content: Content, delta: Delta): boolean {
  if (content.kind === "text" && delta.case === "text") {
    content.text += delta.value;
  } else if (content.kind === "text" && delta.case === "citation") {
    content.citations.push(citationOf(delta.value));
  } else if (content.kind === "toolUse" && delta.case === "toolUse") {
    content.input += delta.value.input;
  } else if (content.kind === "toolResult" && delta.case === "toolResult") {
    delta.value.blocks.forEach((part) => appendPart(content.result, part));
  } else if (content.kind === "reasoning" && delta.case === "reasoningContent") {
    return content.reasoning.append(delta.value);
  } else if (content.kind === "image" && delta.case === "image") {
    content.error = delta.value.error ?? content.error;
    content.source = combine(content.source, delta.value.source?.source);
  } else if (content.kind === "unknown" && delta.case === "unknownJson") {
    content.parts.push(delta.value);
  } else {
    return false;
  }
  return true;
}

function close(content: Content): Block[] {
  switch (content.kind) {
    case "empty":
      return [];
    case "text":
      return closeText(content.text, content.citations);
    case "toolUse":
      return [{ case: "toolUse", value: closeToolUse(content.start, content.input) }];
    case "toolResult":
      return [{ case: "toolResult", value: content.result }];
    case "reasoning":
      return content.reasoning.close();
    case "image": {
      const { format, source, error } = content;
      const data = source.case !== undefined && { source: create(pb.ImageSourceSchema, { source }) };
      return [{ case: "image", value: create(pb.ImageBlockSchema, { format, ...data, ...(error && { error }) }) }];
    }
    case "unknown":
      return content.parts.map((value) => ({ case: "unknownJson", value }));
  }
}

function closeText(text: string, citations: pb.Citation[]): Block[] {
  if (citations.length === 0) {
    return /^\p{White_Space}*$/u.test(text) ? [] : [{ case: "text", value: text }];
  }
  const content = [{ block: { case: "text" as const, value: text } }];
  return [{ case: "citationsContent", value: create(pb.CitationsContentBlockSchema, { content, citations }) }];
}

/** Returns the complete tool use. Models send no input for tools without arguments. */
function closeToolUse({ toolUseId, name, type }: pb.ToolUseBlockStart, input: string): pb.ToolUseBlock {
  return create(pb.ToolUseBlockSchema, {
    toolUseId,
    name,
    ...(type !== undefined && { type }),
    arguments: { case: "inputJson", value: input === "" ? "{}" : input },
  });
}

/** Appends text to a preceding text part. Every JSON value is a part of its own. */
function appendPart({ content }: pb.ToolResultBlock, { block }: pb.ToolResultBlockDelta): void {
  const last = content.at(-1)?.block;
  if (last?.case === "text" && block.case === "text") {
    last.value += block.value;
  } else if (block.case !== undefined) {
    content.push(create(pb.ToolResultContentBlockSchema, { block }));
  }
}

function combine(before: Source, more: Source | undefined): Source {
  if (before.case === "bytes" && more?.case === "bytes") {
    return { case: "bytes", value: concat([before.value, more.value]) };
  }
  return more === undefined || more.case === undefined ? before : more;
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let end = 0;
  for (const part of parts) {
    whole.set(part, end);
    end += part.length;
  }
  return whole;
}

function citationOf({ title, source, sourceContent, location }: pb.CitationsDelta): pb.Citation {
  const cited = sourceContent.map(({ text }) =>
    create(pb.CitationSourceContentSchema, text === undefined ? {} : { block: { case: "text", value: text } }),
  );
  return create(pb.CitationSchema, {
    ...(title !== undefined && { title }),
    ...(source !== undefined && { source }),
    sourceContent: cited,
    ...(location && { location }),
  });
}
