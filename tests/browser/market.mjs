// A market on this machine: a test server of known text, workers in local mode, and the invite to them. Everything lies
// in one temporary folder and ends with this process.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, openSync, readFileSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { end_with_me, remove, temporary } from "./ending.mjs";
import { Ended, until } from "./extension.mjs";

/** A program that ends with this process; its words go to a file. `whole` keeps all of its output, not the last of it. */
export class Program {
  constructor(command, args, { env = {}, log, whole = false }) {
    const file = openSync(log, "a");
    this.log = log;
    this.child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", file] });
    closeSync(file);
    end_with_me(this.child);
    this.out = "";
    this.child.stdout.setEncoding("utf8").on("data", (text) => (this.out = whole ? this.out + text : (this.out + text).slice(-65_536)));
    this.ended = new Promise((resolve) => {
      this.child.on("error", (error) => resolve({ error }));
      this.child.on("exit", (code, signal) => resolve({ code, signal }));
    }).then((end) => (this.end = end));
  }

  get pid() {
    return this.child.pid;
  }

  /** Asks it to end and waits; kills it when it does not within `seconds`. */
  async stop(signal = "SIGTERM", seconds = 10) {
    if (this.end) return this.end;
    this.child.kill(signal);
    const timer = setTimeout(() => this.child.kill("SIGKILL"), seconds * 1000);
    const end = await this.ended;
    clearTimeout(timer);
    return end;
  }

  lastWords(lines = 15) {
    return `${readFileSync(this.log, "utf8").trimEnd()}\n${this.out}`.trim().split("\n").slice(-lines).join("\n");
  }
}

/** The test server of known text (worker/examples/mock_openai.rs). */
export class Mock {
  static async start(folder, { first_ms = 20, token_ms = 5 } = {}) {
    const program = process.env.MOCK_OPENAI;
    if (!program) throw new Error("MOCK_OPENAI names no program; run this by `cargo xtask test browser`");
    const mock = new Mock();
    mock.program = new Program(program, ["--first-ms", `${first_ms}`, "--token-ms", `${token_ms}`], {
      log: join(folder, "mock.log"),
    });
    const line = await until("the test server's port", () => {
      if (mock.program.end) throw new Ended(`the test server ended: ${mock.program.lastWords()}`);
      return mock.program.out.split("\n").find((line) => line.startsWith("{"));
    });
    mock.url = `http://127.0.0.1:${JSON.parse(line).port}/v1`;
    return mock;
  }

  /** What it answers to `question`, in `words` words; as `prose:` in paragraphs. */
  static text(question, words, { prose = false } = {}) {
    let text = "";
    for (let n = 0; n < words; n += 1) {
      text += createHash("sha256").update(`${n} ${question}`).digest("hex").slice(0, 6);
      text += n % 5 === 1 ? " é🌍 " : " ";
      if (prose && n % 60 === 59) text += "\n\n";
    }
    return text;
  }
}

/** A worker of this machine. */
class Worker {
  constructor(market, handle, name, config) {
    Object.assign(this, { market, handle, name, config });
  }

  async start() {
    const { folder, pinned } = this.market;
    if (pinned && this.facts) await this.pin_ports();
    const ready = join(folder, `${this.handle}.ready.json`);
    await rm(ready, { force: true });
    const args = ["run", "--ready-file", ready, ...(this.config ? ["--config", this.config] : [])];
    this.program = new Program(process.env.WORKER, args, {
      env: this.market.environment(this.handle, this.name),
      log: join(folder, `${this.handle}.log`),
    });
    this.facts = await until(`worker ${this.handle} is ready`, async () => {
      if (this.program.end) throw new Ended(`worker ${this.handle} ended`);
      return JSON.parse(await readFile(ready, "utf8"));
    }, 120).catch((error) => {
      throw new Error(`${error.message}\n${this.program.lastWords()}`);
    });
    return this;
  }

  /** Comes back under the addresses that it had, as a node does that others enter by. */
  async pin_ports() {
    const config = await readFile(this.config, "utf8");
    if (config.includes("tcp_port")) return;
    const port = (kind) => this.facts.addresses.map((address) => kind.exec(address)?.[1]).find(Boolean);
    const ports = `[worker]\ntcp_port = ${port(/\/tcp\/(\d+)\/p2p/)}\nws_port = ${port(/\/tcp\/(\d+)\/ws/)}\n`;
    await writeFile(this.config, config.replace("[worker]\n", ports));
  }

  get id() {
    return this.facts.provider_id;
  }

  stop(signal, seconds) {
    return this.program.stop(signal, seconds);
  }
}

/** An invite to the same network with another count of free requests a day. */
function with_free_daily(invite, free_daily) {
  const network = JSON.parse(Buffer.from(invite.slice("pam1:".length), "base64url").toString());
  return `pam1:${Buffer.from(JSON.stringify({ ...network, free_daily })).toString("base64url")}`;
}

/** Several workers and the invite to them. */
export class Market {
  /**
   * `providers`: `{handle, name, words}`, answering by the test server with so many words (as many
   * as one of its models lists: 1, 2, 5, 10, 20, 50, ... 10,000) or by the test server's `model` of a fault, under the
   * model id `offered`; without either by the embedded model. `continues`: it goes on from a given beginning; `output`: tokens of its longest answer; `unlimited`: it takes any number of questions a minute from one user. `pace`: of the test server. `free_daily`: free requests a day that the invite names; more than the
   * network's own where a case asks more. `pinned`: a worker that is started again has the ports that it had.
   */
  static async open({ providers, pace = {}, free_daily = 1_000_000, pinned = false }) {
    const market = new Market();
    market.pinned = pinned;
    market.folder = await temporary("market");
    market.workers = [];
    market.others = [];
    try {
      if (providers.some((provider) => provider.words || provider.model)) market.mock = await Mock.start(market.folder, pace);
      for (const provider of providers) market.workers.push(await market.worker(provider));
      await Promise.all(market.workers.map((worker) => worker.start()));
      market.invite = with_free_daily(await market.command("invite", providers[0].handle), free_daily);
    } catch (error) {
      await market.close();
      throw error;
    }
    return market;
  }

  /** A worker that is not started yet. */
  async worker({ handle, name = handle, words, model, offered, continues = false, concurrency = 16, output, unlimited = false }) {
    let config;
    if (words || model) {
      config = join(this.folder, `${handle}.toml`);
      const upstream = model ?? `known:${words}`;
      const id = offered ?? upstream;
      await writeFile(config, [
        "[worker]", ...(unlimited ? ["requests_per_minute = 0"] : []),
        "[[backend]]", 'name = "known"', 'kind = "openai"', `url = "${this.mock.url}"`, `max_concurrency = ${concurrency}`,
        "[[model]]", `id = "${id}"`, `upstream_id = "${upstream}"`,
        ...(continues ? ['capabilities = ["continue"]'] : []), 'backends = ["known"]', "context_length = 32768", `max_concurrency = ${concurrency}`,
        "queue = 64", ...(output ? [`max_output_tokens = ${output}`] : []), "",
      ].join("\n"));
    }
    return new Worker(this, handle, name, config);
  }

  environment(handle, name) {
    return { XDG_STATE_HOME: this.folder, PROVIDER_ID: handle, PROVIDER_NAME: name ?? handle, MARKETPLACE_MODE: "local", RUST_LOG: process.env.RUST_LOG ?? "info" };
  }

  /** Runs a command of the worker's to its end and gives what it printed. */
  async command(name, handle) {
    const program = new Program(process.env.WORKER, [name], { env: this.environment(handle), log: join(this.folder, `${name}.log`) });
    const end = await program.ended;
    if (end.code !== 0) throw new Error(`worker ${name} failed (${JSON.stringify(end)}): ${program.lastWords()}`);
    return program.out.trim();
  }

  /** Starts a program that enters this market's network by itself, with these arguments before the network's. */
  beside(program, ...args) {
    const { cluster, shards } = JSON.parse(Buffer.from(this.invite.slice("pam1:".length), "base64url").toString());
    const nodes = this.workers[0].facts.addresses.filter((address) => !address.includes("/ws"));
    const beside = new Program(program, [...args, cluster, shards.length ?? shards, ...nodes].map(String), { log: join(this.folder, `beside-${this.others.length}.log`) });
    this.others.push(beside);
    return beside;
  }

  named(handle) {
    return this.workers.find((worker) => worker.handle === handle);
  }

  async close() {
    await Promise.all([...this.others, ...this.workers.map((worker) => worker.program)].map((program) => program?.stop()));
    await this.mock?.program.stop("SIGINT");
    await remove(this.folder);
  }
}
