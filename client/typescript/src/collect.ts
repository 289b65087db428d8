/**
 * Puts a stream's pieces together: the same answer as from `Converse`, and a message that can be sent back.
 *
 * The index of a piece says which block it belongs to; pieces of several blocks may come in turns, and blocks of text
 * and reasoning begin without a start event.
 */

import { create, toJsonString } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { OpenBlock } from "./collect/block.js";
import { incomplete } from "./error.js";
import * as pb from "./gen/pb.js";
import type { Event } from "./stream.js";

/** A tool that the model asks for. */
export interface ToolUse {
  /** Joins the request to its result. */
  readonly toolUseId: string;
  /** The tool's name, as declared. */
  readonly name: string;
  /** The arguments, as the exact JSON text that the model wrote: `JSON.parse` rounds integers above 2^53. */
  readonly inputJson: string;
  /** "server_tool_use" for a tool that runs at Bedrock. */
  readonly type: string | undefined;
}

/** An answer, whole, however it came. */
export class Collected {
  /** What the model said. Send it back as the next turn's history. Blank text, which Bedrock refuses, is left out. */
  message: pb.Message = create(pb.MessageSchema);
  /** Why the model stopped. */
  stopReason: pb.StopReason = pb.StopReason.UNSPECIFIED;
  /** The same in Bedrock's own word, such as `end_turn`. */
  rawStopReason = "";
  /** What was read and written. Absent: Bedrock did not say. */
  usage: pb.TokenUsage | undefined;
  /** Bedrock's own measure. */
  metrics: pb.ConverseMetrics | undefined;
  /** What a guardrail or a prompt router did. */
  trace: pb.ConverseTrace | undefined;
  /** The form of the model that served. */
  performanceConfig: pb.PerformanceConfiguration | undefined;
  /** The tier that served. */
  serviceTier: pb.ServiceTier | undefined;
  /** The model's own reply fields, as exact JSON text. */
  additionalModelResponseFieldsJson: string | undefined;
  /** Who answered, and every attempt before. */
  route: pb.Route | undefined;
  /** Where the time went. */
  latency: pb.Latency | undefined;
  /** What the call cost, every attempt included. Absent: the price of a part is unknown; it is not zero. */
  cost: pb.Cost | undefined;
  /** Events that have no place in the message: newer than this client, or of no known block. */
  unplaced: Event[] = [];

  /** An answer that came whole. */
  static from(response: pb.ConverseResponse): Collected {
    const collected = new Collected();
    const output = response.output?.output;
    if (output?.case === "message") {
      collected.message = output.value;
    }
    collected.stopReason = response.stopReason;
    collected.rawStopReason = response.rawStopReason;
    collected.additionalModelResponseFieldsJson = response.additionalModelResponseFieldsJson;
    collected.route = response.route;
    takeMeasures(collected, response);
    return collected;
  }

  /** The words of the answer, without reasoning and tool uses. */
  text(): string {
    return this.message.content.map(wordsOf).join("");
  }

  /** The tools that the model asks for. */
  toolUses(): ToolUse[] {
    return this.message.content.flatMap(({ block }) => (block.case === "toolUse" ? [toolUseOf(block.value)] : []));
  }
}

/** Collects while something else reads along: {@link push} every event, then {@link finish}. */
export class Collector {
  #blocks = new Map<number, OpenBlock>();
  #collected = new Collected();
  #isWhole = false;

  /** Takes the next event in. After a restart it forgets what it had. */
  push(event: Event): void {
    const collected = this.#collected;
    switch (event.case) {
      case "route":
        collected.route = event.value;
        break;
      case "messageStart":
        collected.message.role = event.value.role;
        break;
      case "contentBlockStart":
        this.#blocks.set(event.value.contentBlockIndex, OpenBlock.begin(event.value.start?.start));
        break;
      case "contentBlockDelta":
        this.#append(event);
        break;
      case "contentBlockStop": // Bedrock has been seen to forget it, so nothing waits for it
        break;
      case "messageStop":
        collected.stopReason = event.value.stopReason;
        collected.rawStopReason = event.value.rawStopReason;
        collected.additionalModelResponseFieldsJson = event.value.additionalModelResponseFieldsJson;
        break;
      case "restart":
        this.#blocks = new Map();
        this.#collected = new Collected();
        this.#isWhole = false;
        break;
      case "metadata":
        takeMeasures(collected, event.value);
        this.#isWhole = true;
        break;
      default:
        collected.unplaced.push(event);
    }
  }

  /** The answer; an error of the kind "incomplete" if its metadata never came. */
  finish(): Collected {
    if (!this.#isWhole) {
      throw incomplete();
    }
    const collected = this.#collected;
    const inOrder = [...this.#blocks].sort(([one], [other]) => one - other);
    collected.message.content = inOrder.flatMap(([, block]) => block.close());
    collected.message.role ||= "assistant";
    return collected;
  }

  #append(event: Extract<Event, { case: "contentBlockDelta" }>): void {
    const { delta, contentBlockIndex } = event.value;
    const block = this.#blocks.get(contentBlockIndex) ?? new OpenBlock();
    this.#blocks.set(contentBlockIndex, block);
    if (delta !== undefined && !block.append(delta.delta)) {
      this.#collected.unplaced.push(event);
    }
  }
}

type Measures = Pick<
  pb.ConverseResponse,
  "usage" | "metrics" | "trace" | "performanceConfig" | "serviceTier" | "latency" | "cost"
>;

/** What a whole answer and a stream's last event have alike. */
function takeMeasures(collected: Collected, from: Partial<Measures>): void {
  collected.usage = from.usage;
  collected.metrics = from.metrics;
  collected.trace = from.trace;
  collected.performanceConfig = from.performanceConfig;
  collected.serviceTier = from.serviceTier;
  collected.latency = from.latency;
  collected.cost = from.cost;
}

function wordsOf({ block }: pb.ContentBlock): string {
  switch (block.case) {
    case "text":
      return block.value;
    case "citationsContent":
      return block.value.content.map((part) => (part.block.case === "text" ? part.block.value : "")).join("");
    default:
      return "";
  }
}

function toolUseOf({ toolUseId, name, type, arguments: input }: pb.ToolUseBlock): ToolUse {
  return { toolUseId, name, type, inputJson: inputText(input) };
}

/** Replies have the text; the other form is one that a caller built. */
function inputText(input: pb.ToolUseBlock["arguments"]): string {
  switch (input.case) {
    case "inputJson":
      return input.value;
    case "input":
      return toJsonString(ValueSchema, input.value);
    default:
      return "{}";
  }
}
