/** The client with the real server and a simulated Bedrock. */

import { create, fromJson, type JsonObject } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { ask, Collected, Collector, pb, Switchboard, SwitchboardError, task, toolResult, user } from "../src/index.js";
import { Programs } from "./programs.js";
import { all } from "./events.js";

const FIRST = "us.anthropic.claude-opus-4-8";
const SECOND = "us.anthropic.claude-haiku-4-5-20251001-v1:0";

let programs: Programs;
let switchboard: Switchboard;

before(async () => {
  programs = await Programs.start();
  switchboard = await Switchboard.connect(programs.address);
});
after(async () => {
  switchboard.close();
  await programs[Symbol.asyncDispose]();
});
beforeEach(() => programs.reset());

async function errorOf(promise: Promise<unknown>): Promise<SwitchboardError> {
  const error = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  assert.ok(error instanceof SwitchboardError, String(error));
  return error;
}

/** Tool with an integer argument that a double cannot represent. */
function paymentTool(): pb.ToolConfiguration {
  const text = '{"type":"object","properties":{"cents":{"const":9007199254740993}},"required":["cents"]}';
  const inputSchema = { schema: { case: "jsonText" as const, value: text } };
  const toolSpec = { case: "toolSpec" as const, value: { name: "send_payment", inputSchema } };
  return create(pb.ToolConfigurationSchema, { tools: [{ tool: toolSpec }] });
}

test("a complete and a streamed answer have the same text", async () => {
  const question = "Describe Venice at dawn.";
  const text = await switchboard.text(task.ANALYSIS, question);
  const parts = await all(switchboard.stream(ask(task.ANALYSIS, question)).text());

  assert.match(text, /^\[simulated us\.anthropic\.claude-opus-4-8\]/);
  assert.ok(parts.length > 1);
  assert.equal(parts.join(""), text);
});

test("a stream starts with the route and ends with the metadata", async () => {
  const events = await all(switchboard.stream(ask(task.SUMMARIZATION, "Hello")));

  assert.equal(events[0]?.case, "route");
  assert.equal(events.at(-1)?.case, "metadata");
  const collector = new Collector();
  events.forEach((event) => collector.push(event));
  const collected = collector.finish();
  assert.equal(collected.route?.modelId, SECOND);
  assert.ok(collected.usage && collected.usage.outputTokens > 0);
  assert.ok(collected.latency?.firstToken);
});

test("tool uses and results keep every digit", async () => {
  const request = create(pb.ConverseRequestSchema, {
    messages: [user("Send the payment, please.")],
    toolConfig: paymentTool(),
  });

  const asked = await switchboard.stream(request).collectMessage();
  assert.equal(asked.stopReason, pb.StopReason.TOOL_USE);
  const [toolUse] = asked.toolUses();
  assert.ok(toolUse);
  assert.equal(toolUse.name, "send_payment");
  assert.equal(toolUse.inputJson, '{"cents":9007199254740993}');

  const result = toolResult(toolUse.toolUseId, '{"sent":9007199254740995}');
  request.messages.push(asked.message, create(pb.MessageSchema, { role: "user", content: [result] }));
  const answered = Collected.from(await switchboard.converse(request));
  assert.equal(answered.stopReason, pb.StopReason.END_TURN);
  assert.notEqual(answered.text(), "");
  const arrived = await programs.callsText();
  assert.match(arrived, /"input":\{"cents":9007199254740993\}/);
  assert.match(arrived, /"json":\{"sent":9007199254740995\}/);
});

test("sends reasoning back with its signature", async () => {
  const body = {
    messages: [{ role: "user", content: [{ text: "Is 221 a prime?" }] }],
    inferenceConfig: { maxTokens: 4096 },
    additionalModelRequestFields: { thinking: { type: "adaptive" } },
  };
  const request = fromJson(pb.ConverseRequestSchema, body);

  const first = await switchboard.stream(request).collectMessage();
  assert.equal(first.message.content[0]?.block.case, "reasoningContent");
  request.messages.push(first.message, user("And 223?"));
  const second = Collected.from(await switchboard.converse(request));

  // The simulator rejects a signature that is not its own.
  assert.equal(second.route?.attempts.length, 1);
  assert.notEqual(second.text(), "");
});

test("the route shows a fallback", async () => {
  await programs.inject("us.anthropic.claude-opus-4-7", { kind: "throttle" });

  const answer = await switchboard.converse(ask("falling-back", "Reverse a list."));

  assert.equal(answer.route?.modelId, "us.anthropic.claude-opus-4-6-v1");
  assert.equal(answer.route.fallbackUsed, true);
  const outcomes = answer.route.attempts.map(({ outcome }) => outcome);
  assert.deepEqual(outcomes, [pb.Outcome.THROTTLED, pb.Outcome.OK]);
});

test("an error has every attempt", async () => {
  await programs.inject("*", { kind: "error", name: "AccessDeniedException" });

  const error = await errorOf(switchboard.text("denied", "Reverse a list."));

  assert.deepEqual([error.kind, error.code, error.reason], ["status", "FAILED_PRECONDITION", "MODEL_ACCESS_DENIED"]);
  assert.deepEqual(
    error.route?.attempts.map(({ outcome }) => outcome),
    [pb.Outcome.MISCONFIGURED],
  );
  assert.match(error.requestId ?? "", /^[0-9a-f-]{36}$/);
});

test("throttling has a retry delay", async () => {
  await programs.inject("*", { kind: "throttle" });

  const error = await errorOf(switchboard.text("throttled", "Reverse a list."));

  assert.deepEqual([error.code, error.reason], ["RESOURCE_EXHAUSTED", "BEDROCK_THROTTLED"]);
  assert.ok(error.retryDelayMs !== undefined && error.retryDelayMs > 0);
});

test("a failure after content is an error and is not retried", async () => {
  await programs.inject("*", { kind: "exception", after_events: 6, name: "internalServerException" });
  const words: string[] = [];

  const read = async () => {
    for await (const word of switchboard.stream(ask("breaking", "Reverse a list.")).text()) {
      words.push(word);
    }
  };
  const error = await errorOf(read());

  assert.ok(words.length > 0);
  assert.deepEqual([error.kind, error.code, error.reason], ["status", "UNAVAILABLE", "STREAM_INTERRUPTED"]);
  assert.equal((await programs.calls()).length, 1);
});

test("names invalid fields", async () => {
  const error = await errorOf(switchboard.converse({ messages: [{ role: "robot", content: [] }] }));

  assert.deepEqual([error.code, error.reason], ["INVALID_ARGUMENT", "INVALID_FIELD"]);
  assert.equal(error.fieldViolations[0]?.field, "messages[0].role");
  assert.match(error.fieldViolations[0]?.problem ?? "", /robot/);
});

test("a deadline cancels the call at Bedrock", async () => {
  await programs.inject("*", { kind: "hang" });

  const error = await errorOf(switchboard.text("silent", "Reverse a list.", { deadlineMs: 1_500 }));

  assert.equal(error.code, "DEADLINE_EXCEEDED");
  await programs.until((calls) => calls.length === 1 && calls[0]!.hung_up);
});

test("a signal cancels the call at Bedrock", async () => {
  await programs.inject("*", { kind: "stall", after_events: 6 });
  const controller = new AbortController();

  const error = await errorOf(
    (async () => {
      const { signal } = controller;
      for await (const _ of switchboard.stream(ask("silent", "Reverse a list."), { signal }).text()) {
        controller.abort();
      }
    })(),
  );

  assert.deepEqual([error.kind, error.code], ["cancelled", "CANCELLED"]);
  await programs.until((calls) => calls.length === 1 && calls[0]!.hung_up);
});

test("leaving the loop cancels the call at Bedrock", async () => {
  await programs.inject("*", { kind: "stall", after_events: 6 });

  for await (const _ of switchboard.stream(ask("silent", "Reverse a list.")).text()) {
    break;
  }

  await programs.until((calls) => calls.length === 1 && calls[0]!.hung_up);
});

test("sends documents of several megabytes", async () => {
  const bytes = new Uint8Array(3_300_000).fill(0x61);
  const source = { source: { case: "bytes" as const, value: bytes } };
  const document = { case: "document" as const, value: { format: "txt", name: "letters", source } };
  const content = [{ block: document }, { block: { case: "text" as const, value: "What is in it?" } }];

  const answer = await switchboard.converse({ taskType: task.ANALYSIS, messages: [{ role: "user", content }] });

  assert.ok(answer.usage && answer.usage.inputTokens > 500_000);
});

test("sends text in every script unchanged", async () => {
  const text = 'Grüße, "你好", नमस्ते, 👩‍🚀🏳️‍🌈, \u0000\u202e e\u0301.';

  const answer = await switchboard.text(task.SUMMARIZATION, text);

  assert.match(answer, /Grüße/);
  const [call] = await programs.calls();
  const body = call?.body as { messages: [{ content: [{ text: string }] }] };
  assert.equal(body.messages[0].content[0].text, text);
});

test("accepts a Bedrock body", async () => {
  const body: JsonObject = {
    taskType: "summarization",
    system: [{ text: "Be brief." }],
    messages: [{ role: "user", content: [{ text: "Hello" }] }],
    inferenceConfig: { maxTokens: 5 },
  };

  const answer = await switchboard.converse(fromJson(pb.ConverseRequestSchema, body));

  assert.equal(answer.stopReason, pb.StopReason.MAX_TOKENS);
});

test("a complete and a streamed answer have the same cost", async () => {
  const question = ask(task.SUMMARIZATION, "Summarize: all is well.");
  const complete = Collected.from(await switchboard.converse(question));
  const streamed = await switchboard.stream(question).collectMessage();

  assert.ok(complete.cost && complete.cost.picoUsd > 0n);
  assert.deepEqual(streamed.cost, complete.cost);
  assert.equal(complete.cost.usd, Number(complete.cost.picoUsd) / 1e12);
  assert.deepEqual(streamed.route?.attempts[0]?.usage, streamed.usage);
});

test("later feedback by the same judge replaces the earlier one", async () => {
  const answer = await switchboard.stream(ask(task.CODING, "Reverse a list.")).collectMessage();
  const judge = { kind: pb.JudgeKind.CHECK, id: "compiler" };
  const requestId = answer.route?.requestId ?? "";

  const first = await switchboard.recordFeedback({ requestId, judge, taskSuccess: false });
  const second = await switchboard.recordFeedback({
    requestId,
    judge,
    taskSuccess: true,
    score: { value: 4.5, min: 1, max: 5 },
  });

  assert.deepEqual([first.replaced, first.taskType, first.modelId], [false, task.CODING, FIRST]);
  assert.equal(second.replaced, true);
});

test("feedback on an unknown answer is refused", async () => {
  const judge = { kind: pb.JudgeKind.HUMAN, id: "alice" };

  const error = await errorOf(
    switchboard.recordFeedback({ requestId: "3f1c2a4e-0000-4000-8000-000000000000", judge, thumb: pb.Thumb.UP }),
  );

  assert.deepEqual([error.code, error.reason], ["NOT_FOUND", "UNKNOWN_REQUEST"]);
});

test("lists tasks, explains routes and counts tokens", async () => {
  const { tasks } = await switchboard.tasks();
  const explained = await switchboard.explain(task.CODING);
  const converse = { case: "converse" as const, value: { messages: [user("How many tokens is this?")] } };
  const counted = await switchboard.countTokens({ taskType: task.CODING, input: { input: converse } });

  const names = tasks.map(({ taskType }) => taskType);
  assert.deepEqual(
    names.filter((name) => Object.values<string>(task).includes(name)),
    Object.values(task).sort(),
  );
  assert.deepEqual(
    explained.candidates.map(({ modelId }) => modelId),
    [FIRST, SECOND],
  );
  assert.ok(counted.inputTokens > 0);
  const lowered = await switchboard.explain({
    taskType: task.CODING,
    messages: [user("Hi")],
    inferenceConfig: { temperature: 0.5 },
  });
  assert.ok(lowered.candidates[0]!.adjustments.some(({ path }) => path === "inference_config.temperature"));
  const asked = await switchboard.call(pb.RoutingService.method.explainRoute, { taskType: task.CODING });
  assert.equal(asked.configVersion, explained.configVersion);
});
