/** TLS: server and client certificates. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { test } from "node:test";
import type { TLSSocket } from "node:tls";
import { generate } from "selfsigned";
import { Switchboard, SwitchboardError } from "../src/index.js";
import { Fake } from "./fake.js";
import { answer } from "./events.js";

async function certificate(commonName: string): Promise<{ cert: string; key: string }> {
  const extensions = [{ name: "subjectAltName" as const, altNames: [{ type: 2 as const, value: "localhost" }] }];
  const made = await generate([{ name: "commonName", value: commonName }], { keyType: "ec", extensions });
  return { cert: made.cert, key: made.private };
}

test("connects to a trusted server with the token", async () => {
  const tls = await certificate("localhost");
  await using fake = await Fake.playing([() => answer("Hello.")], tls);
  const client = await fake.client({ caCertificate: tls.cert, bearerToken: "s3cret" });

  assert.equal(await client.text("default", "Hi"), "Hello.");
  assert.equal(fake.seen[0]?.headers.get("authorization"), "Bearer s3cret");
});

test("refuses an untrusted server", async () => {
  await using fake = await Fake.playing([], await certificate("localhost"));
  const another = await certificate("localhost");

  for (const options of [{}, { caCertificate: another.cert }]) {
    await assert.rejects(fake.client(options), (error: SwitchboardError) => error.kind === "connect");
  }
});

test("sends the client certificate", async () => {
  const [tls, mine] = await Promise.all([certificate("localhost"), certificate("caller")]);
  const asks = { ...tls, requestCert: true, rejectUnauthorized: true, ca: mine.cert };
  await using fake = await Fake.playing([() => answer("Hello.")], asks);

  const clientCertificate = { certificate: mine.cert, key: mine.key };
  const client = await fake.client({ caCertificate: tls.cert, clientCertificate });
  assert.equal(await client.text("default", "Hi"), "Hello.");
  const [session] = fake.sessions;
  assert.equal((session?.socket as TLSSocket).getPeerCertificate().subject.CN, "caller");

  const bare = await fake.client({ caCertificate: tls.cert }).catch((error: SwitchboardError) => error);
  const refused =
    bare instanceof SwitchboardError ? bare : await bare.text("default", "Hi").catch((error: unknown) => error);
  assert.ok(refused instanceof SwitchboardError && refused.code === "UNAVAILABLE", String(refused));
});

test("a connection that is not answered in time is an error", async () => {
  const silent = createServer(); // accepts the connection, but never starts TLS
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  const { port } = silent.address() as AddressInfo;
  const address = `https://localhost:${port}`;
  await assert.rejects(Switchboard.connect({ address, connectTimeoutMs: 200 }), (error: SwitchboardError) => {
    assert.deepEqual([error.kind, error.message], ["connect", `could not connect to ${address}: no answer in 200 ms`]);
    return true;
  });
  await assert.rejects(Switchboard.connect({ address, deadlineMs: 200 }), { kind: "deadline" });
  const signal = AbortSignal.timeout(200);
  await assert.rejects(Switchboard.connect({ address }, { signal }), { kind: "cancelled" });
  silent.close();
});
