/** Runs the real server with a simulated Bedrock. */

import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const CONFIG = fileURLToPath(new URL("../../test/switchboard.toml", import.meta.url));

/** Call that the simulator received; see its `GET /_sim/calls`. */
export interface SimulatedCall {
  readonly operation: string;
  readonly model: string;
  readonly body: unknown;
  readonly finished: boolean;
  readonly hung_up: boolean;
}

/** Running programs; they stop when disposed. */
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

  /** Injects a fault; `model` "*" means all models. */
  async inject(model: string, fault: Record<string, unknown>, times?: number): Promise<void> {
    await this.#request("POST", "/_sim/faults", { model, fault, ...(times && { times }) });
  }

  /** Removes all faults and recorded calls. */
  async reset(): Promise<void> {
    await this.#request("DELETE", "/_sim/faults");
    await this.#request("DELETE", "/_sim/calls");
  }

  async calls(): Promise<SimulatedCall[]> {
    return (JSON.parse(await this.callsText()) as { calls: SimulatedCall[] }).calls;
  }

  /** Returns the calls as JSON text, which has exact integers. */
  callsText(): Promise<string> {
    return this.#request("GET", "/_sim/calls");
  }

  /** Waits until the recorded calls meet a condition. */
  async until(condition: (calls: SimulatedCall[]) => boolean): Promise<void> {
    for (const timeout = AbortSignal.timeout(20_000); !condition(await this.calls()); await sleep(20)) {
      if (timeout.aborted) {
        throw new Error(`condition not met: ${condition}; recorded calls: ${await this.callsText()}`);
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

  async #request(method: string, path: string, body?: unknown): Promise<string> {
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

/** Returns the folder `SWITCHBOARD_PROGRAMS`, or else Cargo's target folder. */
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

/**
 * Returns the match of a line of the program's output. Reads the rest of the output too, so that it never
 * blocks.
 */
async function lineOf(child: ChildProcess, pattern: RegExp): Promise<string> {
  const lines: string[] = [];
  return new Promise((resolve, reject) => {
    for (const output of [child.stdout, child.stderr] as Readable[]) {
      createInterface({ input: output }).on("line", (line) => {
        lines.push(line);
        const [, found] = pattern.exec(line) ?? [];
        if (found !== undefined) {
          resolve(found);
        }
      });
    }
    child.once("error", reject);
    child.once("exit", () => reject(new Error(`${child.spawnfile} ended: ${lines.join("\n")}`)));
  });
}
