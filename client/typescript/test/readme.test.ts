/** The steps and examples of the README run as written. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Programs } from "./programs.js";

const PACKAGE = fileURLToPath(new URL("../../", import.meta.url));
const NOT_IN_CHECKOUT = new Set(["dist", "node_modules"]);

interface Block {
  readonly language: string;
  readonly flags: string[];
  readonly code: string;
}

let programs: Programs;
let project: string;

before(async () => {
  programs = await Programs.start();
  project = mkdtempSync(join(tmpdir(), "switchboard-readme-"));
});
after(async () => {
  await programs[Symbol.asyncDispose]();
  rmSync(project, { recursive: true, force: true });
});

function blocks(): Block[] {
  const readme = readFileSync(join(PACKAGE, "README.md"), "utf8");
  return [...readme.matchAll(/^```(\w+)([^\n]*)\n([\s\S]*?)^```$/gm)].map(([, language, flags, code]) => {
    return { language: language!, flags: flags!.split(" "), code: code! };
  });
}

async function run(program: string, ...args: string[]): Promise<string> {
  const env = {
    ...process.env,
    NODE_TEST_CONTEXT: undefined,
    npm_config_prefer_offline: "true",
    npm_config_audit: "false",
    SWITCHBOARD: join(project, "switchboard"),
  };
  try {
    return (await promisify(execFile)(program, args, { cwd: project, env, timeout: 120_000 })).stdout;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${program} ${args.join(" ")}: ${stdout}${stderr}`, { cause: error });
  }
}

test("installs as written", async () => {
  writeFileSync(join(project, "package.json"), '{ "name": "project", "type": "module", "private": true }\n');
  const checkout = join(project, "switchboard/client/typescript");
  mkdirSync(checkout, { recursive: true });
  cpSync(PACKAGE, checkout, { recursive: true, filter: (path) => !NOT_IN_CHECKOUT.has(path.slice(PACKAGE.length)) });

  for (const { code } of blocks().filter(({ language }) => language === "sh")) {
    await run("sh", "-ec", code);
  }

  const listed = JSON.parse(await run("npm", "ls", "--json", "@switchboard-ai/client")) as { dependencies: object };
  assert.deepEqual(Object.keys(listed.dependencies), ["@switchboard-ai/client"]);
});

test("the examples run", async () => {
  const examples = blocks().filter(({ language }) => language === "ts");
  assert.ok(examples.length >= 6, "finds the README's examples");
  examples.forEach(({ code }, at) => {
    const here = code.replaceAll("http://127.0.0.1:50051", programs.address);
    writeFileSync(join(project, `example-${at}.ts`), here);
  });
  const compilerOptions = {
    module: "nodenext",
    target: "es2022",
    strict: true,
    exactOptionalPropertyTypes: true,
    types: ["node"],
    typeRoots: [join(PACKAGE, "node_modules/@types")],
  };
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["example-*.ts"] }));
  await run(process.execPath, join(PACKAGE, "node_modules/typescript/bin/tsc"));

  for (const [at, { flags }] of examples.entries()) {
    if (!flags.includes("no-run")) {
      const output = await run(process.execPath, `example-${at}.js`); // ends without `close`
      assert.match(output, /\[simulated us\.anthropic/, `example ${at} prints an answer: ${output}`);
    }
  }
});
