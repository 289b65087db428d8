/**
 * The client of the conformance suite: a JSON object a line on standard input, its outcome a line on standard output.
 *
 *     node dist/conformance/driver.js --target 127.0.0.1:PORT --mode layer|plain
 */

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
for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const reply = await play(JSON.parse(line) as Call);
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
