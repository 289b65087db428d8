/**
 * Assembles the events of a stream into the answer that `Converse` would return.
 *
 * The index of a delta identifies its block. Deltas of different blocks can be interleaved, and text and
 * reasoning blocks start without a start event.
 */

import { create, toJsonString } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { OpenBlock } from "./collect/block.js";
import { incomplete } from "./error.js";
import * as pb from "./gen/pb.js";
import type { Event } from "./stream.js";

/** Tool call that the model requests. */
export interface ToolUse {
  /** Id of the tool use. Set it in the tool result. */
  readonly toolUseId: string;
  /** Name of the tool. */
  readonly name: string;
  /** Arguments as the exact JSON text that the model generated. `JSON.parse` rounds integers above 2^53. */
  readonly inputJson: string;
  /** "server_tool_use" for a tool that runs at Bedrock. */
  readonly type: string | undefined;
}

/** Complete answer of `Converse` or of a stream. */
export class Collected {
  /**
   * The assistant's turn. Append it to the messages to continue the conversation. Blank text, which Bedrock
   * rejects, is left out.
   */
  message: pb.Message = create(pb.MessageSchema);
  /** Why the model stopped. */
  stopReason: pb.StopReason = pb.StopReason.UNSPECIFIED;
  /** The stop reason exactly as Bedrock sent it, such as `end_turn`. */
  rawStopReason = "";
  /** Tokens of the attempt that answered. Absent: Bedrock did not report usage. */
  usage: pb.TokenUsage | undefined;
  /** Latency measured by Bedrock. */
  metrics: pb.ConverseMetrics | undefined;
  /** Actions of a guardrail or a prompt router. */
  trace: pb.ConverseTrace | undefined;
  /** Latency optimization that was used. */
  performanceConfig: pb.PerformanceConfiguration | undefined;
  /** Service tier that was used. */
  serviceTier: pb.ServiceTier | undefined;
  /** Requested fields of the model's native response, as exact JSON text. */
  additionalModelResponseFieldsJson: string | undefined;
  /** The model that answered, and every attempt. For a stream, the final route. */
  route: pb.Route | undefined;
  /** Duration of the call and of its parts. */
  latency: pb.Latency | undefined;
  /**
   * Cost of the call, including every attempt. Absent: the price of some part is unknown; do not read this as
   * zero.
   */
  cost: pb.Cost | undefined;
  /**
   * Events that could not be added to the message: they are newer than this client, or belong to no known
   * block.
   */
  unplaced: Event[] = [];

  /** Converts a complete response. */
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
    copyCommonFields(collected, response);
    return collected;
  }

  /** Returns the text of the answer, without reasoning and tool uses. */
  text(): string {
    return this.message.content.map(textOf).join("");
  }

  /** Returns the tool calls that the model requests. */
  toolUses(): ToolUse[] {
    return this.message.content.flatMap(({ block }) => (block.case === "toolUse" ? [toolUseOf(block.value)] : []));
  }
}

/**
 * Assembles an answer while the caller processes the events: {@link push} every event, then {@link finish}.
 */
export class Collector {
  #blocks = new Map<number, OpenBlock>();
  #collected = new Collected();
  #isComplete = false;

  /** Adds the next event. A restart event discards everything before it. */
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
      case "contentBlockStop": // not relied on: Bedrock sometimes omits it
        break;
      case "messageStop":
        collected.stopReason = event.value.stopReason;
        collected.rawStopReason = event.value.rawStopReason;
        collected.additionalModelResponseFieldsJson = event.value.additionalModelResponseFieldsJson;
        break;
      case "restart":
        this.#blocks = new Map();
        this.#collected = new Collected();
        this.#isComplete = false;
        break;
      case "metadata":
        collected.route = event.value.route ?? collected.route;
        copyCommonFields(collected, event.value);
        this.#isComplete = true;
        break;
      default:
        collected.unplaced.push(event);
    }
  }

  /** Returns the answer; throws an error of the kind "incomplete" if the metadata is missing. */
  finish(): Collected {
    if (!this.#isComplete) {
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

type CommonFields = Pick<
  pb.ConverseResponse,
  "usage" | "metrics" | "trace" | "performanceConfig" | "serviceTier" | "latency" | "cost"
>;

/** Copies the fields that a complete response and the metadata event have in common. */
function copyCommonFields(collected: Collected, from: Partial<CommonFields>): void {
  collected.usage = from.usage;
  collected.metrics = from.metrics;
  collected.trace = from.trace;
  collected.performanceConfig = from.performanceConfig;
  collected.serviceTier = from.serviceTier;
  collected.latency = from.latency;
  collected.cost = from.cost;
}

function textOf({ block }: pb.ContentBlock): string {
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

/** Returns the arguments as text. Replies have text; a caller can build a message with a value instead. */
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
