/** The real server on the real simulator of Bedrock. */

import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const CONFIG = fileURLToPath(new URL("../../test/switchboard.toml", import.meta.url));

/** What the simulator knows of a call; see its `GET /_sim/calls`. */
export interface SimulatedCall {
  readonly operation: string;
  readonly model: string;
  readonly body: unknown;
  readonly finished: boolean;
  readonly hung_up: boolean;
}

/** Runs until it is disposed of. */
export class Programs implements AsyncDisposable {
  readonly #children: ChildProcess[] = [];
  #admin = "";
  address = "";

  static async start(): Promise<Programs> {
    const programs = new Programs();
    const folder = folderOfPrograms();
    const simulator = programs.#spawn(join(folder, "bedrock-sim"), ["--listen", "127.0.0.1:0", "--speed", "0"]);
    programs.#admin = await lineOf(simulator, /listens on (http:\/\/[\d.:]+)/);
    const server = programs.#spawn(
      join(folder, "switchboard"),
      ["serve", "--config", CONFIG, "--listen", "127.0.0.1:0"],
      {
        AWS_ENDPOINT_URL_BEDROCK_RUNTIME: programs.#admin,
        AWS_ACCESS_KEY_ID: "simulated",
        AWS_SECRET_ACCESS_KEY: "simulated",
      },
    );
    programs.address = `http://${await lineOf(server, /"address":"([\d.:]+)"/)}`;
    return programs;
  }

  /** From now on this goes wrong; `model` "*" means all. */
  async inject(model: string, fault: Record<string, unknown>, times?: number): Promise<void> {
    await this.#ask("POST", "/_sim/faults", { model, fault, ...(times && { times }) });
  }

  /** Everything goes well again, and nothing has been asked. */
  async forget(): Promise<void> {
    await this.#ask("DELETE", "/_sim/faults");
    await this.#ask("DELETE", "/_sim/calls");
  }

  async calls(): Promise<SimulatedCall[]> {
    return (JSON.parse(await this.callsText()) as { calls: SimulatedCall[] }).calls;
  }

  /** As JSON text, in which every integer is exact. */
  callsText(): Promise<string> {
    return this.#ask("GET", "/_sim/calls");
  }

  /** Waits until what the simulator saw is as it should be. */
  async until(isSo: (calls: SimulatedCall[]) => boolean): Promise<void> {
    for (const patience = AbortSignal.timeout(20_000); !isSo(await this.calls()); await sleep(20)) {
      if (patience.aborted) {
        throw new Error(`it never came to this: ${isSo}; the simulator saw ${await this.callsText()}`);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.#children.map(async (child) => {
        const gone = once(child, "exit");
        if (child.exitCode === null && child.kill("SIGKILL")) {
          await gone;
        }
      }),
    );
  }

  #spawn(program: string, args: string[], env: Record<string, string> = {}): ChildProcess {
    const inherited = Object.entries(process.env).filter(([name]) => !/^(AWS|OTEL|SWITCHBOARD)_/.test(name));
    const child = spawn(program, args, {
      env: { ...Object.fromEntries(inherited), ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#children.push(child);
    return child;
  }

  async #ask(method: string, path: string, body?: unknown): Promise<string> {
    const answer = await fetch(this.#admin + path, {
      method,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) {
      throw new Error(`${method} ${path}: ${text}`);
    }
    return text;
  }
}

/** `SWITCHBOARD_PROGRAMS`, or where `cargo build` puts them. */
function folderOfPrograms(): string {
  const folder = process.env["SWITCHBOARD_PROGRAMS"] ?? join(targetOfCargo(), "debug");
  if (!existsSync(join(folder, "switchboard")) || !existsSync(join(folder, "bedrock-sim"))) {
    throw new Error(`no programs in ${folder}: run \`cargo build --bin switchboard --bin bedrock-sim\` first`);
  }
  return folder;
}

function targetOfCargo(): string {
  const args = ["metadata", "--no-deps", "--format-version", "1"];
  const metadata = execFileSync("cargo", args, {
    encoding: "utf8",
    cwd: new URL("../../", import.meta.url),
    stdio: "pipe",
  });
  return (JSON.parse(metadata) as { target_directory: string }).target_directory;
}

/** What the program says of itself when it is ready. Its output is read on afterwards, so that it never has to wait. */
async function lineOf(child: ChildProcess, pattern: RegExp): Promise<string> {
  const said: string[] = [];
  return new Promise((resolve, reject) => {
    for (const output of [child.stdout, child.stderr] as Readable[]) {
      createInterface({ input: output }).on("line", (line) => {
        said.push(line);
        const [, found] = pattern.exec(line) ?? [];
        if (found !== undefined) {
          resolve(found);
        }
      });
    }
    child.once("error", reject);
    child.once("exit", () => reject(new Error(`${child.spawnfile} ended: ${said.join("\n")}`)));
  });
}
