/** The TypeScript client for Switchboard. {@link Switchboard} is where to begin. */

export { Collected, Collector, type ToolUse } from "./collect.js";
export { DEFAULT_ADDRESS, MAX_MESSAGE_BYTES, type Options } from "./connect.js";
export { SwitchboardError, type Code, type ErrorKind, type FieldViolation, type Reason } from "./error.js";
/** The contract as generated types: a message `X` is made with `create(pb.XSchema, {…})`. */
export * as pb from "./gen/pb.js";
export { ask, assistant, system, toolResult, user } from "./request.js";
export { EventStream, type Event } from "./stream.js";
export { Switchboard, type CallOptions } from "./switchboard.js";
export * as task from "./task.js";
/** What makes messages and reads them, from protobuf-es; the rest of it is in `@bufbuild/protobuf`. */
export { create, fromJson, fromJsonString, toJson, toJsonString } from "@bufbuild/protobuf";
