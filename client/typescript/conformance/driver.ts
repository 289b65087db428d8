/**
 * TypeScript driver of the conformance suite: reads a call per line from standard input and writes its result
 * as a line to standard output.
 *
 *     node dist/conformance/driver.js --target 127.0.0.1:PORT --mode layer|plain
 */

import { context, propagation, ROOT_CONTEXT } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { layer } from "./layer.js";
import { plain } from "./plain.js";
import type { Call, Play } from "./protocol.js";

const MODES: Record<string, (address: string) => Play> = { layer, plain };

const { values } = parseArgs({ options: { target: { type: "string" }, mode: { type: "string" } } });
const play = MODES[values.mode ?? ""]?.(`http://${values.target}`);
if (play === undefined || values.target === undefined) {
  console.error("usage: driver --target HOST:PORT --mode layer|plain");
  process.exit(2);
}
context.setGlobalContextManager(new AsyncLocalStorageContextManager());
propagation.setGlobalPropagator(new W3CTraceContextPropagator());
for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const call = JSON.parse(line) as Call;
  const { traceparent } = call;
  const span = propagation.extract(ROOT_CONTEXT, traceparent === undefined ? {} : { traceparent });
  const reply = await context.with(span, () => play(call));
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
