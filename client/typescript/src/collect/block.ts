/** One block of a message while its pieces come in. */

import { create } from "@bufbuild/protobuf";
import * as pb from "../gen/pb.js";

type Start = pb.ContentBlockStart["start"];
type Delta = pb.ContentBlockDelta["delta"];
type Block = pb.ContentBlock["block"];
type Source = pb.ImageSource["source"];

/** What has come of a block so far. */
type Content =
  /** Nothing: the first piece decides. */
  | { kind: "empty" }
  | { kind: "text"; words: string; citations: pb.Citation[] }
  | { kind: "toolUse"; start: pb.ToolUseBlockStart; input: string }
  | { kind: "toolResult"; result: pb.ToolResultBlock }
  | { kind: "reasoning"; reasoning: Reasoning }
  | { kind: "image"; format: string; source: Source; error: pb.ErrorBlock | undefined }
  /** Exact JSON objects, in order. */
  | { kind: "unknown"; pieces: string[] };

export class OpenBlock {
  #content: Content = { kind: "empty" };

  static begin(start: Start | undefined): OpenBlock {
    const block = new OpenBlock();
    block.#content = contentOf(start);
    return block;
  }

  /** Adds a piece; false if it does not belong to this kind of block. */
  append(delta: Delta): boolean {
    if (this.#content.kind === "empty") {
      this.#content = kindOf(delta);
    }
    return append(this.#content, delta);
  }

  /**
   * The block as history wants it: none for blank text, and one for each piece of an unknown kind, since how those
   * would join is unknown too.
   */
  close(): pb.ContentBlock[] {
    return close(this.#content).map((block) => create(pb.ContentBlockSchema, { block }));
  }
}

/** Readable or sealed; a model sends one or the other. */
class Reasoning {
  #words: string | undefined;
  #signature: string | undefined;
  readonly #sealed: Uint8Array[] = [];
  readonly #unknown: string[] = [];

  append({ delta }: pb.ReasoningContentBlockDelta): boolean {
    switch (delta.case) {
      case "text":
        this.#words = (this.#words ?? "") + delta.value;
        return true;
      case "signature":
        this.#signature = (this.#signature ?? "") + delta.value;
        return true;
      case "redactedContent":
        this.#sealed.push(delta.value);
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
    if (this.#words !== undefined || this.#signature !== undefined) {
      const [text, signature] = [this.#words ?? "", this.#signature];
      const value = create(pb.ReasoningTextBlockSchema, { text, ...(signature !== undefined && { signature }) });
      blocks.push({ case: "reasoningText", value });
    }
    if (this.#sealed.length > 0) {
      blocks.push({ case: "redactedContent", value: joined(this.#sealed) });
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
      return { kind: "unknown", pieces: [start.value] };
    default:
      return { kind: "empty" };
  }
}

/**
 * The kind of block that begins with this piece. Tools name themselves in a start event: without one there is no block
 * to add to. Nor does a piece of an unknown kind begin one: known pieces may follow.
 */
function kindOf(delta: Delta): Content {
  switch (delta.case) {
    case "text":
    case "citation":
      return { kind: "text", words: "", citations: [] };
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
    content.words += delta.value;
  } else if (content.kind === "text" && delta.case === "citation") {
    content.citations.push(citationOf(delta.value));
  } else if (content.kind === "toolUse" && delta.case === "toolUse") {
    content.input += delta.value.input;
  } else if (content.kind === "toolResult" && delta.case === "toolResult") {
    delta.value.blocks.forEach((piece) => appendPart(content.result, piece));
  } else if (content.kind === "reasoning" && delta.case === "reasoningContent") {
    return content.reasoning.append(delta.value);
  } else if (content.kind === "image" && delta.case === "image") {
    content.error = delta.value.error ?? content.error;
    content.source = together(content.source, delta.value.source?.source);
  } else if (content.kind === "unknown" && delta.case === "unknownJson") {
    content.pieces.push(delta.value);
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
      return closeText(content.words, content.citations);
    case "toolUse":
      return [{ case: "toolUse", value: closeToolUse(content.start, content.input) }];
    case "toolResult":
      return [{ case: "toolResult", value: content.result }];
    case "reasoning":
      return content.reasoning.close();
    case "image": {
      const { format, source, error } = content;
      const whole = source.case !== undefined && { source: create(pb.ImageSourceSchema, { source }) };
      return [{ case: "image", value: create(pb.ImageBlockSchema, { format, ...whole, ...(error && { error }) }) }];
    }
    case "unknown":
      return content.pieces.map((value) => ({ case: "unknownJson", value }));
  }
}

function closeText(words: string, citations: pb.Citation[]): Block[] {
  if (citations.length === 0) {
    return /^\p{White_Space}*$/u.test(words) ? [] : [{ case: "text", value: words }];
  }
  const content = [{ block: { case: "text" as const, value: words } }];
  return [{ case: "citationsContent", value: create(pb.CitationsContentBlockSchema, { content, citations }) }];
}

/** No input at all means `{}`: models leave it out for tools without arguments. */
function closeToolUse({ toolUseId, name, type }: pb.ToolUseBlockStart, input: string): pb.ToolUseBlock {
  return create(pb.ToolUseBlockSchema, {
    toolUseId,
    name,
    ...(type !== undefined && { type }),
    arguments: { case: "inputJson", value: input === "" ? "{}" : input },
  });
}

/** Words go on where the words before ended; every JSON value is a part of its own. */
function appendPart({ content }: pb.ToolResultBlock, { block }: pb.ToolResultBlockDelta): void {
  const last = content.at(-1)?.block;
  if (last?.case === "text" && block.case === "text") {
    last.value += block.value;
  } else if (block.case !== undefined) {
    content.push(create(pb.ToolResultContentBlockSchema, { block }));
  }
}

function together(before: Source, more: Source | undefined): Source {
  if (before.case === "bytes" && more?.case === "bytes") {
    return { case: "bytes", value: joined([before.value, more.value]) };
  }
  return more === undefined || more.case === undefined ? before : more;
}

function joined(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let end = 0;
  for (const piece of pieces) {
    whole.set(piece, end);
    end += piece.length;
  }
  return whole;
}

function citationOf({ title, source, sourceContent, location }: pb.CitationsDelta): pb.Citation {
  const words = sourceContent.map(({ text }) =>
    create(pb.CitationSourceContentSchema, text === undefined ? {} : { block: { case: "text", value: text } }),
  );
  return create(pb.CitationSchema, {
    ...(title !== undefined && { title }),
    ...(source !== undefined && { source }),
    sourceContent: words,
    ...(location && { location }),
  });
}
