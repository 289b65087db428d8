/** Calls: headers, retries, deadlines, cancellation and connections. */

import { Code } from "@connectrpc/connect";
import { context, propagation, trace, TraceFlags } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import * as http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { ask, Switchboard, SwitchboardError, type ErrorKind, type Options } from "../src/index.js";
import { aborted, breaksOff, fails, Fake, hangs, type Answer } from "./fake.js";
import { all, answer, begin, route, says, text } from "./events.js";

const unavailable = fails(Code.Unavailable, "the proxy has no server");
const HI = ask("default", "Hi");

function isA(kind: ErrorKind, code: SwitchboardError["code"]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof SwitchboardError, String(error));
    assert.deepEqual([error.kind, error.code], [kind, code], error.message);
    return true;
  };
}

test("text returns the text of the answer", async () => {
  await using fake = await Fake.playing([() => answer("Hello, you.")]);
  const client = await fake.client();

  assert.equal(await client.text("summarization", "Hi"), "Hello, you.");
  assert.equal(fake.seen[0]?.request.taskType, "summarization");
});

test("sends the token and the user agent with every call", async () => {
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

test("refuses invalid options without showing the token", async () => {
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

test("a refused connection is a connect error", async () => {
  const fake = await Fake.playing([]);
  const { address } = fake;
  await fake[Symbol.asyncDispose]();

  await assert.rejects(Switchboard.connect(address), isA("connect", "UNAVAILABLE"));
  await assert.rejects(Switchboard.connectLazy(address).converse(HI), isA("connect", "UNAVAILABLE"));
});

// === retries ===

test("does not retry an unavailable server", async () => {
  await using fake = await Fake.playing([unavailable, () => answer("not sent")]);

  await assert.rejects((await fake.client()).converse(HI), isA("status", "UNAVAILABLE"));
  assert.equal(fake.seen.length, 1);
});

/** Bare HTTP/2 server: refuses the first streams as unprocessed, then returns empty responses. */
async function refusing(refusals: number): Promise<{ address: string; calls: () => number; close: () => void }> {
  let calls = 0;
  const server = http2.createServer();
  server.on("stream", (stream) => {
    calls += 1;
    stream.on("error", () => {});
    if (calls <= refusals) {
      stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    stream.respond({ "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(Buffer.alloc(5)); // an uncompressed message without fields
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { address: `http://127.0.0.1:${port}`, calls: () => calls, close: () => server.close() };
}

test("sends an unprocessed call once more", async () => {
  const server = await refusing(1);
  const client = await Switchboard.connect(server.address);

  await client.tasks();

  assert.equal(server.calls(), 2);
  client.close();
  server.close();
});

test("does not send a call a third time", async () => {
  const server = await refusing(9);
  const client = await Switchboard.connect(server.address);

  await assert.rejects(client.tasks(), isA("transport", "UNAVAILABLE"));

  assert.equal(server.calls(), 2);
  client.close();
  server.close();
});

test("does not retry a stream that has started", async () => {
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

test("reopens a broken connection", async () => {
  const crashes: Answer = (_seen, fake) => {
    fake.crash();
    return answer("not received");
  };
  await using fake = await Fake.playing([crashes, () => answer("Here.")]);
  const client = await fake.client();

  await assert.rejects(client.text("default", "Hi"), isA("transport", "UNAVAILABLE"));
  assert.equal(await client.text("default", "Hi"), "Here.");
});

test("a broken connection ends a stream with an error", async () => {
  const crashes: Answer = async function* (_seen, fake) {
    yield* [route, begin, text(0, "Hel")];
    await pulled;
    fake.crash();
  };
  let pull = () => {};
  const pulled = new Promise<void>((resolve) => (pull = resolve));
  await using fake = await Fake.playing([crashes]);

  const words = (await fake.client()).stream(HI).text();
  assert.equal((await words.next()).value, "Hel");
  pull();
  await assert.rejects(words.next(), isA("transport", "UNAVAILABLE"));
  assert.equal(fake.seen.length, 1);
});

test("replaces a connection that received GOAWAY", async () => {
  await using fake = await Fake.playing([() => answer("one"), () => answer("two")]);
  const client = await fake.client();

  assert.equal(await client.text("default", "Hi"), "one");
  const [draining] = fake.sessions;
  draining?.goaway();
  assert.equal(await client.text("default", "Hi"), "two");
});

test("finishes a running stream on a closing connection", async () => {
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

// === deadlines and cancellation ===

test("sends the deadline and enforces it up to the end of the stream", async () => {
  await using fake = await Fake.playing([hangs(), hangs([route, begin])]);
  const client = await fake.client({ deadlineMs: 60_000 });

  await assert.rejects(client.stream(HI, { deadlineMs: 300 }).collectMessage(), isA("deadline", "DEADLINE_EXCEEDED"));
  await assert.rejects(all(client.stream(HI, { deadlineMs: 300 }).text()), isA("deadline", "DEADLINE_EXCEEDED"));

  for (const { headers, signal } of fake.seen) {
    const [, milliseconds] = /^(\d+)m$/.exec(headers.get("grpc-timeout") ?? "") ?? [];
    assert.ok(Number(milliseconds) > 0 && Number(milliseconds) <= 300, headers.get("grpc-timeout") ?? "no header");
    await aborted(signal);
  }
});

test("the connection's deadline applies to every call", async () => {
  await using fake = await Fake.playing([() => answer(""), () => answer("")]);
  const client = await fake.client({ deadlineMs: 100_000_000 });

  await client.converse(HI);
  await client.withDeadline(60_000).converse(HI);

  const [far, near] = fake.seen.map(({ headers }) => headers.get("grpc-timeout"));
  assert.equal(far, "100000S"); // milliseconds would not fit gRPC's eight digits
  assert.match(near ?? "", /^\d{5}m$/);
});

test("a signal cancels the call, also at the server", async () => {
  await using fake = await Fake.playing([hangs([route, begin, text(0, "Hel")])]);
  const controller = new AbortController();
  const reason = new Error("the user closed the tab");

  const words = (await fake.client()).stream(HI, { signal: controller.signal }).text();
  assert.equal((await words.next()).value, "Hel");
  controller.abort(reason);

  await assert.rejects(words.next(), (error: SwitchboardError) => {
    return isA("cancelled", "CANCELLED")(error) && error.cause === reason;
  });
  await aborted(fake.seen[0]!.signal);
});

test("an aborted signal sends nothing", async () => {
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
  await Promise.all(fake.seen.map(({ signal }) => aborted(signal)));
});

test("removes its listeners from the caller's signal", async () => {
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

// === connections ===

test("pings a quiet connection during a call", async () => {
  await using fake = await Fake.playing([hangs()]);
  const client = await fake.client({ keepAliveMs: 50 });
  const [session] = fake.sessions;
  const controller = new AbortController();

  const call = client.stream(HI, { signal: controller.signal }).collectMessage();
  await once(session!, "ping");
  controller.abort();

  await assert.rejects(call, isA("cancelled", "CANCELLED"));
});

test("accepts large messages up to the limit", async () => {
  const large = "å".repeat(16 << 20); // 32 MiB
  const echo: Answer = ({ request }) => answer(request.messages[0]?.content[0]?.block.value as string);
  await using fake = await Fake.playing([echo, echo, () => answer(large)]);
  const client = await fake.client();

  const texts = await Promise.all([client.text("default", large), client.text("default", large)]);
  assert.ok(texts.every((text) => text === large));
  const strict = await fake.client({ maxMessageBytes: 1 << 20 });
  await assert.rejects(strict.text("default", "Hi"), isA("transport", "RESOURCE_EXHAUSTED"));
});

test("sends the caller's trace context", async () => {
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
