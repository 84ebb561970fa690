// Providers of different speed and honesty, and providers that die: the user is answered all the same.
import assert from "node:assert/strict";
import { mkdir, rm } from "node:fs/promises";
import { Mock } from "../market.mjs";

const WORDS = 20; // As many as the test server's faulty models say.
const MODEL = "chat";
/** One is as it should be; the others are slow, die in mid-stream, or refuse. A fifth lies about its speed. */
const KINDS = [
  { handle: "good", words: WORDS },
  { handle: "slow", model: "slow_10x" },
  { handle: "dies", model: "error_mid" },
  { handle: "refuses", model: "429_retry_after" },
];

/** The text of an answer behind the last place where somebody began anew. */
function whole({ text, cuts }) {
  const anew = (cuts ?? []).filter(([, , anew]) => anew).at(-1);
  return (anew ? Buffer.from(text).subarray(anew[0]).toString() : text).trim();
}

/** Pictures of a market's states: of the providers each time that another set of states is there, and of cut answers. */
class Album {
  constructor(panel) {
    this.panel = panel;
    this.folder = new URL("../../../out/failover/", import.meta.url).pathname;
    this.seen = new Set();
  }

  async take(name) {
    if (this.seen.has(name)) return;
    // Those of an earlier run are not this one's.
    if (this.seen.size === 0) await rm(this.folder, { recursive: true, force: true });
    this.seen.add(name);
    await mkdir(this.folder, { recursive: true });
    await this.panel.page.screenshot({ path: `${this.folder}${name}.png` });
  }

  async providers(port) {
    const states = (await port.providers()).map(({ handle, state }) => `${handle}-${state}`).sort().join("-");
    if (this.seen.has(states)) return;
    await this.panel.go("/providers");
    await this.panel.at("provider-row").first().waitFor();
    await this.take(states);
  }

  /** The newest conversation, when its answer shows something of these for the first time. */
  async answer({ phase, cuts }) {
    const how = cuts ? `${phase}-${cuts.some(([, , anew]) => anew) ? "anew" : "continued"}` : phase;
    if (this.seen.has(how)) return;
    await this.panel.go("/history");
    await this.panel.at("history-open").first().click();
    await this.panel.at("answer").last().waitFor();
    await this.take(how);
  }
}

export const failover = [
  {
    name: "of five providers of different speed and honesty the good one is found within ten questions, and every question is answered",
    async run(bench) {
      const market = await bench.own_market({
        providers: KINDS.map((kind) => ({ ...kind, name: kind.handle, offered: MODEL, continues: true })),
      });
      const liar = market.beside(process.env.LIAR, MODEL, WORDS);
      const { browser, port } = await bench.joined({ market, providers: KINDS.length + 1 });
      const { provider_id } = JSON.parse(liar.out.split("\n")[0]);
      const handle_of = (id) => (id === provider_id ? "boasts" : market.workers.find((worker) => worker.id === id).handle);
      const boast = (await port.providers()).find(({ id }) => id === provider_id).models[0].tokens_per_s;
      assert.ok(boast > 1_000, `it announces ${boast} tokens a second, far more than all others`);
      const album = new Album(await browser.panel("tab", { width: 1_000, height: 800 }));
      await album.providers(port);
      const count = bench.deep ? 200 : 40;
      const by = [];
      for (let n = 0; n < count; n += 1) {
        const text = `Question ${n} of ${count}`;
        const message = await port.answer(text, { seconds: 120 });
        assert.equal(message.phase, "complete", `${text}: ${message.phase} by ${message.provider_name}`);
        assert.equal(whole(message), Mock.text(text, WORDS).trim(), text);
        by.push(handle_of(message.provider));
        await album.providers(port);
        await album.answer(message);
      }
      const late = by.slice(10);
      const good = late.filter((handle) => handle === "good").length;
      assert.ok(good >= 0.8 * late.length, `${good} of ${late.length}: ${by.join(" ")}`);
      const known = (await port.providers()).map(({ handle, state, success }) => `${handle} ${state} ${success?.[0] ?? "-"}`);
      return `${good} of the last ${late.length} by the good one; ${known.join(", ")}`;
    },
  },
  {
    name: "ten people at once while a provider is killed every ten seconds lose no answer",
    seconds: 420,
    async run(bench) {
      const providers = Array.from({ length: 5 }, (_, n) => ({ handle: `p${n}`, words: 50, offered: MODEL, continues: true }));
      const market = await bench.own_market({ providers, pinned: true });
      const people = [];
      for (let n = 0; n < 10; n += 1) people.push(await bench.joined({ market, providers: 5 }));
      const end = Date.now() + (bench.deep ? 120_000 : 30_000);
      let asked = 0;
      let moved = 0;
      const person = async ({ browser, port }, who) => {
        const panel = who < 2 ? await browser.panel() : null;
        for (let n = 0; Date.now() < end; n += 1) {
          const text = `Person ${who} asks ${n}`;
          let message;
          if (panel) {
            const answer = await panel.send(text);
            message = await port.ended(await answer.getAttribute("data-message-id"), 120);
          } else {
            message = await port.answer(text, { seconds: 120 });
          }
          assert.equal(message.phase, "complete", `${text}: ${message.phase} by ${message.provider_name}`);
          assert.equal(whole(message), Mock.text(text, 50).trim(), text);
          asked += 1;
          moved += message.cuts ? 1 : 0;
        }
      };
      const killer = async () => {
        for (let n = 0; Date.now() + 10_000 < end; n += 1) {
          await new Promise((resolve) => setTimeout(resolve, 10_000));
          const worker = market.workers[1 + (n % 4)];
          await worker.stop("SIGKILL");
          await worker.start();
        }
      };
      await Promise.all([killer(), ...people.map(person)]);
      return `${asked} answers, ${moved} continued elsewhere`;
    },
  },
];
