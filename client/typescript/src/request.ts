/** Shorthands for the parts of a request that almost every caller writes. */

import { create } from "@bufbuild/protobuf";
import * as pb from "./gen/pb.js";

/** A request for one answer to one prompt. */
export function ask(task: string, prompt: string): pb.ConverseRequest {
  return create(pb.ConverseRequestSchema, { taskType: task, messages: [user(prompt)] });
}

/** A turn of the user's, in words. */
export function user(text: string): pb.Message {
  return turn("user", text);
}

/**
 * A turn of the model's, in words: for history that was kept elsewhere. What a model answered here is better sent back
 * as the message that it came as, which may hold more than words.
 */
export function assistant(text: string): pb.Message {
  return turn("assistant", text);
}

/** One part of the system prompt, in words. */
export function system(text: string): pb.SystemContentBlock {
  return create(pb.SystemContentBlockSchema, { block: { case: "text", value: text } });
}

/** What a tool answered, in exact JSON text: a block of the user's next turn, which answers every tool use at once. */
export function toolResult(toolUseId: string, json: string): pb.ContentBlock {
  const content = [{ block: { case: "jsonText" as const, value: json } }];
  const value = create(pb.ToolResultBlockSchema, { toolUseId, content });
  return create(pb.ContentBlockSchema, { block: { case: "toolResult", value } });
}

function turn(role: string, text: string): pb.Message {
  return create(pb.MessageSchema, { role, content: [{ block: { case: "text", value: text } }] });
}
