/** Shorthands for common parts of a request. */

import { create } from "@bufbuild/protobuf";
import * as pb from "./gen/pb.js";

/** Makes a request with one prompt. */
export function ask(task: string, prompt: string): pb.ConverseRequest {
  return create(pb.ConverseRequestSchema, { taskType: task, messages: [user(prompt)] });
}

/** Makes a user turn with text. */
export function user(text: string): pb.Message {
  return turn("user", text);
}

/**
 * Makes an assistant turn with text, for a history that is stored elsewhere. To continue a conversation,
 * rather send back the original message, which can have more than text.
 */
export function assistant(text: string): pb.Message {
  return turn("assistant", text);
}

/** Makes a part of the system prompt. */
export function system(text: string): pb.SystemContentBlock {
  return create(pb.SystemContentBlockSchema, { block: { case: "text", value: text } });
}

/** Makes a tool result from exact JSON text. Put the results of all tool uses into the next user turn. */
export function toolResult(toolUseId: string, json: string): pb.ContentBlock {
  const content = [{ block: { case: "jsonText" as const, value: json } }];
  const value = create(pb.ToolResultBlockSchema, { toolUseId, content });
  return create(pb.ContentBlockSchema, { block: { case: "toolResult", value } });
}

function turn(role: string, text: string): pb.Message {
  return create(pb.MessageSchema, { role, content: [{ block: { case: "text", value: text } }] });
}
