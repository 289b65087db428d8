/** Collected streams. */

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { StructSchema, ValueSchema, type Value } from "@bufbuild/protobuf/wkt";
import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, Collected, Collector, pb, SwitchboardError, user, type Event } from "../src/index.js";
import { Fake } from "./fake.js";
import {
  all,
  answer,
  begin,
  delta,
  event,
  metadata,
  restart,
  route,
  says,
  starts,
  stop,
  text,
  tool,
  toolInput,
} from "./events.js";

function collect(...events: Event[]): Collected {
  const collector = new Collector();
  events.forEach((event) => collector.push(event));
  return collector.finish();
}

type Init = MessageInitShape<typeof pb.ContentBlockSchema>["block"];

function assertBlocks(collected: Collected, ...blocks: NonNullable<Init>[]): void {
  const expected = blocks.map((block) => create(pb.ContentBlockSchema, { block }));
  assert.deepEqual(collected.message.content, expected);
}

function toolUse(toolUseId: string, name: string, inputJson: string): NonNullable<Init> {
  return { case: "toolUse", value: { toolUseId, name, arguments: { case: "inputJson", value: inputJson } } };
}

function thought(
  index: number,
  delta_: NonNullable<MessageInitShape<typeof pb.ReasoningContentBlockDeltaSchema>["delta"]>,
) {
  return delta(index, { case: "reasoningContent", value: { delta: delta_ } });
}

function stringValue(value: string): Value {
  return create(ValueSchema, { kind: { case: "stringValue", value } });
}

const bytes = (text: string) => new TextEncoder().encode(text);

test("collects interleaved blocks", () => {
  const collected = collect(
    route,
    begin,
    text(0, "Let me "),
    tool(2, "t2", "now"),
    tool(1, "t1", "weather"),
    toolInput(1, '{"city":'),
    text(0, "look."),
    toolInput(1, '"Rome","id":12345678901234567890}'),
    toolInput(2, ""),
    stop(pb.StopReason.TOOL_USE, "tool_use"),
    metadata,
  );

  assert.equal(collected.message.role, "assistant");
  assertBlocks(
    collected,
    { case: "text", value: "Let me look." },
    toolUse("t1", "weather", '{"city":"Rome","id":12345678901234567890}'),
    toolUse("t2", "now", "{}"),
  );
  assert.equal(collected.stopReason, pb.StopReason.TOOL_USE);
});

test("tool arguments keep integers above 2^53", () => {
  const collected = collect(
    tool(0, "t1", "pay"),
    toolInput(0, '{"cents":90071992'),
    toolInput(0, "54740993}"),
    metadata,
  );

  const [toolUse] = collected.toolUses();
  assert.deepEqual(toolUse, { toolUseId: "t1", name: "pay", inputJson: '{"cents":9007199254740993}', type: undefined });
});

test("converts arguments that are values to text", () => {
  const struct = {
    case: "structValue" as const,
    value: create(StructSchema, { fields: { city: stringValue("Rome") } }),
  };
  const input = create(ValueSchema, { kind: struct });
  const block = create(pb.ToolUseBlockSchema, { name: "weather", arguments: { case: "input", value: input } });
  const collected = new Collected();

  collected.message.content.push(create(pb.ContentBlockSchema, { block: { case: "toolUse", value: block } }));

  assert.equal(collected.toolUses()[0]?.inputJson, '{"city":"Rome"}');
});

test("keeps signed and encrypted reasoning", () => {
  const collected = collect(
    thought(0, { case: "text", value: "Hm" }),
    thought(0, { case: "text", value: "m." }),
    thought(0, { case: "signature", value: "signed" }),
    thought(1, { case: "redactedContent", value: bytes("sea") }),
    thought(1, { case: "redactedContent", value: bytes("led") }),
    text(2, "Yes."),
    metadata,
  );

  assertBlocks(
    collected,
    {
      case: "reasoningContent",
      value: { block: { case: "reasoningText", value: { text: "Hmm.", signature: "signed" } } },
    },
    { case: "reasoningContent", value: { block: { case: "redactedContent", value: bytes("sealed") } } },
    { case: "text", value: "Yes." },
  );
  assert.equal(collected.text(), "Yes.");
});

test("keeps citations", () => {
  const cited = delta(0, { case: "citation", value: { title: "Atlas", sourceContent: [{ text: "Rome is warm." }] } });

  const collected = collect(text(0, "It is "), cited, text(0, "warm."), metadata);

  const content = [{ block: { case: "text" as const, value: "It is warm." } }];
  const source = { block: { case: "text" as const, value: "Rome is warm." } };
  assertBlocks(collected, {
    case: "citationsContent",
    value: { content, citations: [{ title: "Atlas", sourceContent: [source] }] },
  });
  assert.equal(collected.text(), "It is warm.");
});

test("collects the parts of a tool result", () => {
  const part = (block: MessageInitShape<typeof pb.ToolResultBlockDeltaSchema>["block"]) =>
    delta(0, { case: "toolResult", value: { blocks: [{ ...(block && { block }) }] } });

  const collected = collect(
    starts(0, { case: "toolResult", value: { toolUseId: "t1", status: "success" } }),
    part({ case: "text", value: "21 " }),
    part({ case: "text", value: "degrees" }),
    part({ case: "jsonText", value: '{"celsius":21}' }),
    metadata,
  );

  const content = [
    { block: { case: "text" as const, value: "21 degrees" } },
    { block: { case: "jsonText" as const, value: '{"celsius":21}' } },
  ];
  assertBlocks(collected, { case: "toolResult", value: { toolUseId: "t1", status: "success", content } });
});

test("collects the parts of an image", () => {
  const piece = (value: Uint8Array<ArrayBuffer>) =>
    delta(0, { case: "image", value: { source: { source: { case: "bytes", value } } } });

  const collected = collect(
    starts(0, { case: "image", value: { format: "png" } }),
    piece(bytes("pic")),
    piece(bytes("ture")),
    delta(0, { case: "image", value: { error: { message: "cut" } } }),
    metadata,
  );

  const source = { source: { case: "bytes" as const, value: bytes("picture") } };
  assertBlocks(collected, { case: "image", value: { format: "png", source, error: { message: "cut" } } });
});

test("keeps unknown events and blocks", () => {
  const unknown = event({ case: "unknown", value: { eventType: "sparks", json: "{}" } });
  const first = delta(0, { case: "unknownJson", value: '{"hue":1}' });
  const odd = delta(0, { case: "unknownJson", value: '{"tint":1}' });

  const collected = collect(
    unknown,
    first,
    text(0, "Blue"),
    odd,
    starts(1, { case: "unknownJson", value: '{"newKind":{}}' }),
    toolInput(2, "{}"),
    metadata,
  );

  assertBlocks(collected, { case: "text", value: "Blue" }, { case: "unknownJson", value: '{"newKind":{}}' });
  assert.deepEqual(collected.unplaced, [unknown, first, odd, toolInput(2, "{}")]);
});

test("omits blank text", () => {
  assertBlocks(collect(text(0, ""), text(0, "\n"), tool(1, "t1", "now"), metadata), toolUse("t1", "now", "{}"));
});

test("a restart discards earlier events", () => {
  const collected = collect(route, begin, text(0, "Wrong "), tool(1, "t0", "wrong"), restart, ...says("Right."));

  assertBlocks(collected, { case: "text", value: "Right." });
  assert.equal(collected.route?.modelId, "haiku");
});

test("has the final route of the metadata", () => {
  const routeWith = (outcome: pb.Outcome) => ({ attempts: [{ modelId: "haiku", outcome }] });
  const first = event({ case: "route", value: routeWith(pb.Outcome.UNSPECIFIED) });
  const last = event({ case: "metadata", value: { route: routeWith(pb.Outcome.OK) } });

  const collected = collect(first, text(0, "Hi"), last);

  assert.equal(collected.route?.attempts[0]?.outcome, pb.Outcome.OK);
});

test("a collected stream equals the complete answer", async () => {
  await using fake = await Fake.playing([() => says("Hello", ", you."), () => answer("Hello, you.")]);
  const client = await fake.client();

  const streamed = await client.stream(ask("default", "Hi")).collectMessage();
  const whole = Collected.from(await client.converse(ask("default", "Hi")));

  assert.equal(streamed.text(), "Hello, you.");
  assert.deepEqual(streamed.message, whole.message);
  assert.equal(streamed.rawStopReason, whole.rawStopReason);
  assert.equal(streamed.usage?.outputTokens, 2);
  assert.deepEqual(fake.seen[0]?.request.messages, [user("Hi")]);
});

test("a stream without metadata is an error", async () => {
  const cut = () => [route, begin, text(0, "Hel")];
  await using fake = await Fake.playing([cut, cut, cut]);
  const client = await fake.client();
  const isIncomplete = (error: unknown) => error instanceof SwitchboardError && error.kind === "incomplete";

  await assert.rejects(client.stream(ask("default", "Hi")).collectMessage(), isIncomplete);
  await assert.rejects(all(client.stream(ask("default", "Hi"))), isIncomplete);
  await assert.rejects(all(client.stream(ask("default", "Hi")).text()), isIncomplete);
});

test("text skips empty deltas and ends", async () => {
  await using fake = await Fake.playing([() => says("Hello", "", ", you.")]);
  const stream = (await fake.client()).stream(ask("default", "Hi"));

  assert.deepEqual(await all(stream.text()), ["Hello", ", you."]);
  assert.throws(() => stream.text(), TypeError); // a stream can be read only once
});

test("text fails if a restart follows text", async () => {
  const late = () => [route, text(0, "Wrong"), restart, ...says("Right")];
  const early = () => [route, restart, ...says("Right")];
  await using fake = await Fake.playing([late, early]);
  const client = await fake.client();

  const words = client.stream(ask("default", "Hi")).text();
  assert.equal((await words.next()).value, "Wrong");
  await assert.rejects(words.next(), (error: SwitchboardError) => {
    assert.deepEqual([error.kind, error.code, error.reason], ["restarted", "ABORTED", "MODEL_ERROR"]);
    return true;
  });
  assert.deepEqual(await all(client.stream(ask("default", "Hi")).text()), ["Right"]);
});
