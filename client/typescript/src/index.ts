/** TypeScript client for Switchboard. Start with {@link Switchboard}. */

export { Collected, Collector, type ToolUse } from "./collect.js";
export { DEFAULT_ADDRESS, MAX_MESSAGE_BYTES, type Options } from "./connect.js";
export { SwitchboardError, type Code, type ErrorKind, type FieldViolation, type Reason } from "./error.js";
/** Generated types of the contract. `create(pb.XSchema, {…})` makes a message `X`. */
export * as pb from "./gen/pb.js";
export { ask, assistant, system, toolResult, user } from "./request.js";
export { EventStream, type Event } from "./stream.js";
export { Switchboard, type CallOptions } from "./switchboard.js";
export * as task from "./task.js";
/** Functions of protobuf-es that make and convert messages. The others are in `@bufbuild/protobuf`. */
export { create, fromJson, fromJsonString, toJson, toJsonString } from "@bufbuild/protobuf";
