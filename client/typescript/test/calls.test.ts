/** What a call carries, when it is made again, and how it ends early. */

import { Code } from "@connectrpc/connect";
import { context, propagation, trace, TraceFlags } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ask, Switchboard, SwitchboardError, type ErrorKind, type Options } from "../src/index.js";
import { breaksOff, fails, Fake, hangs, left, type Answer } from "./fake.js";
import { all, answer, begin, route, says, text } from "./words.js";

const unavailable = fails(Code.Unavailable, "the proxy has no server");
const HI = ask("default", "Hi");

function isA(kind: ErrorKind, code: SwitchboardError["code"]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof SwitchboardError, String(error));
    assert.deepEqual([error.kind, error.code], [kind, code], error.message);
    return true;
  };
}

test("one line asks one question", async () => {
  await using fake = await Fake.playing([() => answer("Hello, you.")]);
  const client = await fake.client();

  assert.equal(await client.text("summarization", "Hi"), "Hello, you.");
  assert.equal(fake.seen[0]?.request.taskType, "summarization");
});

test("the token and the client's name go with every call", async () => {
  await using fake = await Fake.playing([() => answer(""), () => says("")]);
  const client = await fake.client({ bearerToken: "s3cret" });

  await client.converse(HI);
  await client.stream(HI).collectMessage();

  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  for (const { headers } of fake.seen) {
    assert.equal(headers.get("authorization"), "Bearer s3cret");
    assert.equal(headers.get("user-agent"), `switchboard-client-typescript/${version}`);
    assert.equal(headers.get("grpc-timeout"), null);
  }
});

test("wrong options say so, and show no token", async () => {
  const wrong: (string | Options)[] = [
    "ftp://gateway:1",
    "no host",
    "http://gateway:1/prefix",
    { address: "http://gateway:1", caCertificate: "pem" },
    { bearerToken: "s3cret\n" },
    { bearerToken: "" },
    { deadlineMs: 0 },
    { connectTimeoutMs: NaN },
    { keepAliveMs: -1 },
  ];
  for (const options of wrong) {
    await assert.rejects(Switchboard.connect(options), (error: SwitchboardError) => {
      return isA("options", "INVALID_ARGUMENT")(error) && !error.message.includes("s3cret");
    });
  }
  await assert.rejects(Switchboard.connectLazy().converse(HI, { deadlineMs: -5 }), isA("options", "INVALID_ARGUMENT"));
});

test("nobody there is told at once, or at the first call", async () => {
  const fake = await Fake.playing([]);
  const { address } = fake;
  await fake[Symbol.asyncDispose]();

  await assert.rejects(Switchboard.connect(address), isA("connect", "UNAVAILABLE"));
  await assert.rejects(Switchboard.connectLazy(address).converse(HI), isA("connect", "UNAVAILABLE"));
});

// === one more attempt ===

test("a call that was not answered is made once more", async () => {
  await using fake = await Fake.playing([unavailable, () => answer("Here."), unavailable, () => says("Here.")]);
  const client = await fake.client();

  assert.equal(await client.text("default", "Hi"), "Here.");
  assert.equal((await client.stream(HI).collectMessage()).text(), "Here.");

  const previous = fake.seen.map(({ headers }) => headers.get("grpc-previous-rpc-attempts"));
  assert.deepEqual(previous, [null, "1", null, "1"]);
});

test("a call is made twice at most", async () => {
  await using fake = await Fake.playing([unavailable, unavailable, () => answer("too late")]);

  await assert.rejects((await fake.client()).converse(HI), isA("status", "UNAVAILABLE"));
  assert.equal(fake.seen.length, 2);
});

test("the server says whether and when a call may be made again", async () => {
  const pushback = (ms: string) => fails(Code.Unavailable, "busy", { "grpc-retry-pushback-ms": ms });
  for (const [answers, attempts] of [
    [[pushback("-1")], 1],
    [[pushback("soon")], 1],
    [[pushback("3600000")], 1], // longer than the deadline
    [[pushback("20"), pushback("-1")], 2],
  ] as const) {
    await using fake = await Fake.playing([...answers]);
    const client = await fake.client();

    await assert.rejects(client.converse(HI, { deadlineMs: 60_000 }), isA("status", "UNAVAILABLE"));
    assert.equal(fake.seen.length, attempts);
  }
});

test("nothing but UNAVAILABLE is tried again, and not without leave", async () => {
  const exhausted = fails(Code.ResourceExhausted, "no");
  await using fake = await Fake.playing([exhausted, unavailable]);

  await assert.rejects((await fake.client()).converse(HI), isA("status", "RESOURCE_EXHAUSTED"));
  await assert.rejects((await fake.client({ retry: false })).converse(HI), isA("status", "UNAVAILABLE"));
  assert.equal(fake.seen.length, 2);
});

test("a stream that has begun is not tried again", async () => {
  await using fake = await Fake.playing([breaksOff([route, text(0, "Hel")], unavailable)]);
  const events: string[] = [];

  const read = async () => {
    for await (const { case: name } of (await fake.client()).stream(HI)) {
      events.push(name);
    }
  };
  await assert.rejects(read, isA("status", "UNAVAILABLE"));
  assert.deepEqual(events, ["route", "contentBlockDelta"]);
  assert.equal(fake.seen.length, 1);
});

test("a connection that breaks is opened again", async () => {
  const dies: Answer = (_seen, fake) => {
    fake.die();
    return answer("nobody hears this");
  };
  await using fake = await Fake.playing([dies, () => answer("Here."), dies, dies, () => answer("Here.")]);
  const client = await fake.client();

  assert.equal(await client.text("default", "Hi"), "Here.");
  await assert.rejects(client.text("default", "Hi"), isA("transport", "UNAVAILABLE"));
  assert.equal(await client.text("default", "Hi"), "Here.");
});

test("a connection that breaks in mid-stream is an error", async () => {
  const dies: Answer = async function* (_seen, fake) {
    yield* [route, begin, text(0, "Hel")];
    await pulled;
    fake.die();
  };
  let pull = () => {};
  const pulled = new Promise<void>((resolve) => (pull = resolve));
  await using fake = await Fake.playing([dies]);

  const words = (await fake.client()).stream(HI).text();
  assert.equal((await words.next()).value, "Hel");
  pull();
  await assert.rejects(words.next(), isA("transport", "UNAVAILABLE"));
  assert.equal(fake.seen.length, 1);
});

test("a connection that drains is replaced", async () => {
  await using fake = await Fake.playing([() => answer("one"), () => answer("two")]);
  const client = await fake.client();

  assert.equal(await client.text("default", "Hi"), "one");
  const [draining] = fake.sessions;
  draining?.goaway();
  assert.equal(await client.text("default", "Hi"), "two");
});

test("a stream that runs is finished on a connection that drains", async () => {
  let finish = () => {};
  const drained = new Promise<void>((resolve) => (finish = resolve));
  const held: Answer = async function* () {
    yield* [route, begin, text(0, "Hel")];
    await drained;
    yield* says("lo").slice(2);
  };
  await using fake = await Fake.playing([held, () => answer("meanwhile")]);
  const client = await fake.client();

  const words = client.stream(HI).text();
  assert.equal((await words.next()).value, "Hel");
  const [draining] = fake.sessions;
  draining?.close();
  assert.equal(await client.text("default", "Hi"), "meanwhile");
  finish();
  assert.deepEqual(await all(words), ["lo"]);
});

// === the end, from this side ===

test("the deadline goes to the server and holds here, to the end of the stream", async () => {
  await using fake = await Fake.playing([hangs(), hangs([route, begin])]);
  const client = await fake.client({ deadlineMs: 60_000 });

  await assert.rejects(client.stream(HI, { deadlineMs: 300 }).collectMessage(), isA("deadline", "DEADLINE_EXCEEDED"));
  await assert.rejects(all(client.stream(HI, { deadlineMs: 300 }).text()), isA("deadline", "DEADLINE_EXCEEDED"));

  for (const { headers, signal } of fake.seen) {
    const [, milliseconds] = /^(\d+)m$/.exec(headers.get("grpc-timeout") ?? "") ?? [];
    assert.ok(Number(milliseconds) > 0 && Number(milliseconds) <= 300, headers.get("grpc-timeout") ?? "no header");
    await left(signal);
  }
});

test("a connection's deadline is every call's", async () => {
  await using fake = await Fake.playing([() => answer(""), () => answer("")]);
  const client = await fake.client({ deadlineMs: 100_000_000 });

  await client.converse(HI);
  await client.withDeadline(60_000).converse(HI);

  const [far, near] = fake.seen.map(({ headers }) => headers.get("grpc-timeout"));
  assert.equal(far, "100000S"); // milliseconds would not fit gRPC's eight digits
  assert.match(near ?? "", /^\d{5}m$/);
});

test("a signal cancels a call, at the server too", async () => {
  await using fake = await Fake.playing([hangs([route, begin, text(0, "Hel")])]);
  const controller = new AbortController();
  const reason = new Error("the user closed the tab");

  const words = (await fake.client()).stream(HI, { signal: controller.signal }).text();
  assert.equal((await words.next()).value, "Hel");
  controller.abort(reason);

  await assert.rejects(words.next(), (error: SwitchboardError) => {
    return isA("cancelled", "CANCELLED")(error) && error.cause === reason;
  });
  await left(fake.seen[0]!.signal);
});

test("a signal that was given too late sends nothing", async () => {
  await using fake = await Fake.playing([]);
  const client = await fake.client();

  await assert.rejects(client.converse(HI, { signal: AbortSignal.abort() }), isA("cancelled", "CANCELLED"));
  assert.equal(fake.seen.length, 0);
});

test("leaving the loop cancels the call", async () => {
  await using fake = await Fake.playing([hangs([route, begin, text(0, "Hel")]), hangs([route])]);
  const client = await fake.client();

  for await (const word of client.stream(HI).text()) {
    assert.equal(word, "Hel");
    break;
  }
  for await (const event of client.stream(HI)) {
    assert.equal(event.case, "route");
    break;
  }
  await Promise.all(fake.seen.map(({ signal }) => left(signal)));
});

test("a caller's signal is let go of when the call is over", async () => {
  await using fake = await Fake.playing([() => answer(""), () => says("")]);
  const client = await fake.client();
  const { signal } = new AbortController();
  let listeners = 0;
  const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
  signal.addEventListener = ((...args: Parameters<typeof add>) => (listeners++, add(...args))) as typeof add;
  signal.removeEventListener = ((...args: Parameters<typeof remove>) => (
    listeners--,
    remove(...args)
  )) as typeof remove;

  await client.converse(HI, { signal });
  await client.stream(HI, { signal }).collectMessage();

  assert.equal(listeners, 0);
});

// === the connection ===

test("a quiet connection is probed during a call", async () => {
  await using fake = await Fake.playing([hangs()]);
  const client = await fake.client({ keepAliveMs: 50 });
  const [session] = fake.sessions;
  const controller = new AbortController();

  const call = client.stream(HI, { signal: controller.signal }).collectMessage();
  await once(session!, "ping");
  controller.abort();

  await assert.rejects(call, isA("cancelled", "CANCELLED"));
});

test("messages may be large, and no larger than allowed", async () => {
  const large = "å".repeat(16 << 20); // 32 MiB
  const echo: Answer = ({ request }) => answer(request.messages[0]?.content[0]?.block.value as string);
  await using fake = await Fake.playing([echo, echo, () => answer(large)]);
  const client = await fake.client();

  const texts = await Promise.all([client.text("default", large), client.text("default", large)]);
  assert.ok(texts.every((text) => text === large));
  const strict = await fake.client({ maxMessageBytes: 1 << 20 });
  await assert.rejects(strict.text("default", "Hi"), isA("transport", "RESOURCE_EXHAUSTED"));
});

test("calls belong to the caller's trace", async () => {
  await using fake = await Fake.playing([() => answer(""), () => says("")]);
  const client = await fake.client();
  const traceId = "0af7651916cd43dd8448eb211c80319c";
  const span = { traceId, spanId: "b7ad6b7169203331", traceFlags: TraceFlags.SAMPLED };
  context.setGlobalContextManager(new AsyncLocalStorageContextManager());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());

  await context.with(trace.setSpanContext(context.active(), span), async () => {
    await client.converse(HI);
    await client.stream(HI).collectMessage();
  });

  for (const { headers } of fake.seen) {
    assert.equal(headers.get("traceparent"), `00-${traceId}-b7ad6b7169203331-01`);
  }
  context.disable();
  propagation.disable();
});
