/** Errors carry the details of the status. */

import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import assert from "node:assert/strict";
import { test } from "node:test";
import * as rpc from "../src/gen/google/rpc/error_details_pb.js";
import { ask, pb, SwitchboardError, type FieldViolation } from "../src/index.js";
import { breaksOff, detail, fails, Fake, type Answer } from "./fake.js";
import { route, text } from "./events.js";

const FINAL = { "grpc-retry-pushback-ms": "-1" };

const throttled = fails(
  Code.ResourceExhausted,
  "Bedrock throttles every model of this task",
  FINAL,
  detail(rpc.ErrorInfoSchema, { reason: "BEDROCK_THROTTLED", domain: "switchboard" }),
  detail(rpc.RetryInfoSchema, { retryDelay: { seconds: 1n, nanos: 500_000_000 } }),
  detail(rpc.RequestInfoSchema, { requestId: "r1" }),
  detail(pb.RouteSchema, { taskType: "default", attempts: [{ modelId: "haiku", outcome: pb.Outcome.THROTTLED }] }),
);

async function errorOf(answer: Answer): Promise<SwitchboardError> {
  await using fake = await Fake.playing([answer]);
  const client = await fake.client();
  try {
    await client.text("default", "Hi");
  } catch (error) {
    assert.ok(error instanceof SwitchboardError);
    return error;
  }
  return assert.fail("the call succeeded");
}

test("has reason, retry delay, request id and route", async () => {
  const error = await errorOf(throttled);

  assert.deepEqual([error.kind, error.code, error.reason], ["status", "RESOURCE_EXHAUSTED", "BEDROCK_THROTTLED"]);
  assert.equal(error.message, "Bedrock throttles every model of this task");
  assert.equal(error.retryDelayMs, 1500);
  assert.equal(error.requestId, "r1");
  assert.deepEqual(error.route?.attempts, [
    create(pb.AttemptSchema, { modelId: "haiku", outcome: pb.Outcome.THROTTLED }),
  ]);
});

test("names invalid fields", async () => {
  const violation = { field: "messages[0].role", description: 'is "robot": use "user"' };
  const error = await errorOf(
    fails(
      Code.InvalidArgument,
      "messages[0].role is wrong",
      FINAL,
      detail(rpc.ErrorInfoSchema, { reason: "INVALID_FIELD" }),
      detail(rpc.BadRequestSchema, { fieldViolations: [violation] }),
    ),
  );

  const expected: FieldViolation[] = [{ field: "messages[0].role", problem: 'is "robot": use "user"' }];
  assert.deepEqual(error.fieldViolations, expected);
  assert.equal(error.retryDelayMs, undefined);
});

test("an error of a stream follows its events", async () => {
  await using fake = await Fake.playing([breaksOff([route, text(0, "Hel")], throttled)]);
  const stream = (await fake.client()).stream(ask("default", "Hi"))[Symbol.asyncIterator]();

  assert.equal((await stream.next()).value?.case, "route");
  assert.equal((await stream.next()).value?.case, "contentBlockDelta");
  await assert.rejects(stream.next(), (error: SwitchboardError) => error.reason === "BEDROCK_THROTTLED");
  assert.deepEqual(await stream.next(), { done: true, value: undefined });
});

test("accepts a status without details", async () => {
  const error = await errorOf(fails(Code.PermissionDenied, "no", FINAL));

  assert.deepEqual([error.kind, error.code], ["status", "PERMISSION_DENIED"]);
  assert.deepEqual([error.reason, error.requestId, error.route], [undefined, undefined, undefined]);
  assert.deepEqual(error.fieldViolations, []);
});

test("ignores invalid details", async () => {
  const garbled = { type: "google.rpc.ErrorInfo", value: new Uint8Array([0xff]) };
  const error = await errorOf(() => {
    const answer = fails(Code.Internal, "broken", FINAL);
    try {
      return answer(undefined as never, undefined as never);
    } catch (thrown) {
      (thrown as { details: unknown[] }).details = [garbled];
      throw thrown;
    }
  });

  assert.deepEqual([error.code, error.message, error.reason], ["INTERNAL", "broken", undefined]);
});

test("uses gRPC's names of codes", async () => {
  const codes = Object.values(Code).filter((code): code is Code => typeof code === "number");
  await using fake = await Fake.playing(codes.map((code) => fails(code, "no", FINAL)));
  const client = await fake.client();
  const names: string[] = [];
  for (const _ of codes) {
    await client.text("default", "Hi").catch((error: SwitchboardError) => names.push(error.code));
  }

  assert.equal(names.join(" "), EVERY_CODE);
});

const EVERY_CODE =
  "CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED " +
  "RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS " +
  "UNAUTHENTICATED";
