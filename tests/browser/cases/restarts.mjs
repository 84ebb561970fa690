// Things that die in the middle.
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { remove, temporary } from "../ending.mjs";
import { until } from "../extension.mjs";
import { Mock } from "../market.mjs";

export const restarts = [
  {
    name: "a background context killed in mid-stream comes back and the answer resumes, word for word",
    async run(bench) {
      const { market, browser, port } = await bench.joined();
      const question = "What survives?";
      const id = await port.ask(question, { provider: market.named("gamma").id });
      await port.grown(id, 200);
      await port.page.evaluate(() => chrome.offscreen.closeDocument());
      await until("the port broke", () => port.heard("broken"));
      await port.connect();
      const message = await port.ended(id);
      assert.equal(message.phase, "complete");
      assert.equal(message.text.trim(), Mock.text(question, 1000).trim());
      assert.ok(browser.context.pages().length > 0);
    },
  },
  {
    name: "a reload of the extension in mid-stream ends the answer as truncated and loses nothing",
    async run(bench) {
      const { market, browser, port } = await bench.joined();
      const question = "What is cut?";
      const id = await port.ask(question, { provider: market.named("gamma").id });
      // Growing text is stored once a second.
      const seen = (await port.grown(id, 2_000)).text;
      // The browser ends with its last page.
      await browser.context.newPage();
      await port.page.evaluate(() => chrome.runtime.reload()).catch(() => {});
      const again = await until("the extension is back", () => browser.port());
      const message = await reopened(again, id);
      assert.equal(message.phase, "truncated");
      const whole = Mock.text(question, 1000);
      assert.ok(whole.startsWith(message.text.trim()), "what is kept is the answer's start");
      assert.ok(message.text.length > seen.length / 2, `${message.text.length} of ${seen.length} characters seen are kept`);
      assert.equal((await again.answer("And after?", { provider: market.named("alpha").id })).phase, "complete");
    },
  },
  {
    name: "a worker killed in mid-stream ends the answer honestly, and answers again once it is back",
    async run(bench) {
      const market = await bench.own_market({ providers: [{ handle: "stays", words: 10 }, { handle: "dies", words: 1000 }] });
      const { port } = await bench.joined({ market, providers: 2 });
      const worker = market.named("dies");
      const question = "What is left of it?";
      const id = await port.ask(question, { provider: worker.id });
      await port.grown(id, 200);
      await worker.stop("SIGKILL");
      await worker.start();
      const message = await port.ended(id, 120);
      assert.ok(["truncated", "error", "silent"].includes(message.phase), message.phase);
      assert.ok(Mock.text(question, 1000).startsWith(message.text.trim()), "never wrong text");
      const again = await until("it answers again", async () => {
        const next = await port.answer(`Back at ${Date.now()}?`, { provider: worker.id, seconds: 40 });
        return next.phase === "complete" && next;
      }, 90);
      assert.equal(again.provider, worker.id);
    },
  },
  {
    name: "conversations, the choice of provider and settings survive a restart of the browser",
    async run(bench) {
      const profile = await temporary("kept");
      try {
        const market = await bench.market();
        const first = await bench.joined({ profile });
        const question = "What is kept?";
        const message = await first.port.answer(question, { provider: market.named("alpha").id });
        await first.port.order({ do: "choose", provider: market.named("beta").id, model: null });
        const settings = await until("the choice is kept", async () => {
          const now = await first.port.heard("settings");
          return now.provider === market.named("beta").id && now;
        });
        await first.port.order({ do: "set", settings: { ...settings, theme: "dark", profile: "fast" } });
        await until("the theme is kept", async () => (await first.port.heard("settings")).theme === "dark");
        await first.browser.close();

        const browser = await bench.browser({ profile });
        const port = await browser.port();
        const rows = await port.heard("conversations");
        assert.equal(rows.length, 1);
        await port.order({ do: "open", conversation: rows[0].id });
        const kept = await until("the conversation", () => port.message(message.id));
        assert.equal(kept.text, message.text);
        assert.equal(kept.phase, "complete");
        const after = await port.heard("settings");
        assert.equal(after.theme, "dark");
        assert.equal(after.profile, "fast");
        assert.equal(after.provider, market.named("beta").id);
        await port.usable(3);
        const panel = await browser.panel();
        await until("dark is shown", () => panel.page.evaluate(() => document.documentElement.classList.contains("dark")));
      } finally {
        await remove(profile);
      }
    },
  },
  {
    name: "a second key under a known handle is left out of automatic choice and asks before it is used",
    async run(bench) {
      const market = await bench.own_market({ providers: [{ handle: "stays", words: 10 }, { handle: "changes", words: 10 }] });
      const { browser, port } = await bench.joined({ market, providers: 2 });
      const worker = market.named("changes");
      const old = worker.id;
      await worker.stop();
      await rm(join(market.folder, "privacyai", "changes"), { recursive: true });
      await worker.start();
      assert.notEqual(worker.id, old, "a new state folder is a new key");
      const changed = await until("the new key is seen", async () => (await port.providers()).find(({ id }) => id === worker.id));
      assert.ok(changed.key_changed_from, "it is marked");
      const automatic = await port.answer("Who is chosen?");
      assert.equal(automatic.provider, market.named("stays").id);
      const message = await port.answer("May it read this?", { provider: worker.id });
      assert.equal(message.phase, "key_changed", "nothing is sent to a key that was not trusted");
      const panel = await browser.panel();
      await panel.go(`/key-changed/${worker.id}`);
      await panel.at("key-changed").waitFor();
      await panel.at("key-changed-input").fill(changed.id.slice(-4));
      await panel.at("key-changed-trust").click();
      await until("it is trusted", async () => !(await port.providers()).find(({ id }) => id === worker.id).key_changed_from);
      assert.equal((await port.answer("And now?", { provider: worker.id })).phase, "complete");
    },
  },
  {
    name: "deleting everything leaves the first screen and no conversation",
    async run(bench) {
      const { browser, port } = await bench.joined();
      await port.answer("Will this go?");
      await port.order({ do: "export" });
      const exported = await until("the export", () => port.heard("exported"));
      assert.ok(exported.includes("Will this go?"));
      await port.order({ do: "delete_all" });
      const panel = await browser.panel();
      await panel.at("invite-input").waitFor();
      const fresh = await browser.port();
      assert.deepEqual(await fresh.heard("conversations"), []);
    },
  },
];

/** The message, after its conversation was opened from the list. */
async function reopened(port, id) {
  for (const row of await port.heard("conversations")) await port.order({ do: "open", conversation: row.id });
  return port.ended(id);
}
