// The day's free questions: counted, warned of, ended, and the same for every panel and after a restart.
import assert from "node:assert/strict";
import { until } from "../extension.mjs";
import { remove, temporary } from "../ending.mjs";
import { exchange, provider, scripted } from "../scripted.mjs";

const PROVIDERS = [{ handle: "one", words: 5 }, { handle: "two", words: 5 }];
/** Far enough from midnight that no test sees a day end. */
const reset_ms = Date.now() + 22_320_000;
const free = (used, more = {}) => ({ limit: 3, used, lost: 0, open: 0, reset_ms, ...more });
const left = (panel, count) => until(`${count} left`, async () => (await panel.at("quota").getAttribute("data-left")) === `${count}`);

export const quota = [
  {
    name: "quota: four questions at three a day are counted, warned of and blocked, also after a restart",
    async run(bench) {
      const market = await bench.own_market({ providers: PROVIDERS, free_daily: 3 });
      const profile = await temporary("quota");
      try {
        const first = await bench.browser({ profile });
        const port = await first.port();
        await port.join(market.invite);
        await port.usable(2);
        const panel = await first.panel();
        await left(panel, 3);
        for (const [used, words] of [[1, "2 of 3 free left"], [2, "Last free one today"], [3, "3 of 3 used"]]) {
          const end = await panel.ended(await panel.send(`Question ${used}?`));
          assert.equal(end.phase, "complete");
          await left(panel, 3 - used);
          assert.equal((await panel.at("quota").innerText()).trim(), words);
        }
        await panel.at("limit-card").waitFor();
        await blocked(panel);
        const fourth = await port.answer("Question 4?");
        assert.equal(fourth.phase, "limit");
        await first.close();

        const again = await bench.browser({ profile });
        const kept = await again.panel();
        await left(kept, 0);
        await kept.at("limit-card").waitFor();
        await blocked(kept);
      } finally {
        await remove(profile);
      }
    },
  },
  {
    name: "quota: panels that ask at once cannot spend the same free question",
    async run(bench) {
      const market = await bench.own_market({ providers: PROVIDERS, free_daily: 3 });
      const { browser, port } = await bench.joined({ market, providers: 2 });
      const other = await browser.port();
      const asked = [0, 1, 2, 3].map((n) => (n % 2 ? port : other).answer(`At once ${n}?`));
      const phases = (await Promise.all(asked)).map(({ phase }) => phase).sort();
      assert.deepEqual(phases, ["complete", "complete", "complete", "limit"]);
      const panel = await browser.panel();
      await left(panel, 0);
    },
  },
  {
    name: "quota: the card counts down, keeps the draft and sends it when the day ends",
    async run(bench) {
      const browser = await bench.browser();
      const messages = exchange(1, "Why?", { text: "So.", unit: "used" });
      const panel = await scripted(browser, { messages, free: free(3, { lost: 1, reset_ms: Date.now() + 22_320_000 }) });
      assert.match(await panel.at("limit-card").innerText(), /3 of 3 free questions used\s+6 h 1[12] min\s+until 3 more, at \d\d:\d\d your time \(00:00 UTC\)/);
      assert.match(await panel.at("limit-card").innerText(), /1 used without an answer: who accepted failed\./);
      const meter = panel.page.getByRole("meter", { name: "Free questions left today" });
      assert.equal(await meter.getAttribute("aria-valuenow"), "0");
      assert.match(await meter.getAttribute("aria-valuetext"), /resets in 6 h 1[12] min, 00:00 UTC/);
      await panel.at("answer-retry").click();
      assert.match(await panel.at("toast").innerText(), /No free question is left today\. Nothing was sent\./);
      await panel.at("composer-input").fill("And then?");
      await panel.page.keyboard.press("Enter");
      await panel.at("limit-queue").click();
      await panel.at("queue-cancel").waitFor();
      const sent = async () => (await panel.orders()).filter((order) => order.do !== "hello");
      assert.deepEqual(await sent(), []);
      await panel.tell({ is: "free", free: free(0) });
      const [ask] = await until("the draft leaves by itself", async () => (await sent()).length > 0 && sent());
      assert.equal(ask.text, "And then?");
      assert.equal(await panel.at("limit-card").count(), 0);
    },
  },
  {
    name: "quota: a question that all who accepted it failed stays open until their keys end, then shows as used without an answer",
    async run(bench) {
      const market = await bench.own_market({ providers: [{ handle: "fails", model: "error_mid" }], free_daily: 3 });
      const { browser, port } = await bench.joined({ market, providers: 1 });
      const began = Date.now();
      const failed = await port.answer("Who fails here?");
      assert.notEqual(failed.phase, "complete");
      assert.equal(failed.unit, "open");
      const minutes = (failed.open_until_ms - began) / 60_000;
      assert.ok(minutes > 59 && minutes < 90, `open for ${minutes} minutes`);

      // The keys' end, brought nearer.
      const open = { phase: "error", code: 12, tokens: null, receipt: null, unit: "open", open_until_ms: Date.now() + 2_500 };
      const panel = await scripted(browser, { messages: exchange(1, "Why?", open), free: free(3, { open: 1 }) });
      const said = async () => (await panel.at("answer-notice").locator("p").allInnerTexts()).join(" ");
      assert.equal(await said(), "Fjord could not process this. Not charged. It stays open to Fjord until its keys end: Retry there uses no other.");
      await until("it is lost", async () => (await said()).endsWith("Not charged. A free question was used without an answer: who accepted it failed."));
      await panel.tell({ is: "free", free: free(3, { lost: 1 }) });
      const meter = panel.page.getByRole("meter", { name: "Free questions left today" });
      await until("the meter says why", async () => /1 used without an answer: who accepted failed/.test(await meter.getAttribute("title")));
      await panel.at("answer-notice").getByRole("button", { name: "Retry" }).click();
      await panel.at("toast").waitFor();
      assert.ok(!(await panel.orders()).some((order) => order.do === "retry"), "it is open to nobody any more");
      await panel.page.reload();
      await panel.at("answer-notice").waitFor();
      assert.match(await said(), /used without an answer: who accepted it failed\.$/, "also after a restart");
    },
  },
  {
    name: "quota: what became of a failed question's share is told; a limit that nobody reaches is only 'free'",
    async run(bench) {
      const browser = await bench.browser();
      const failed = { phase: "error", code: 12, tokens: null, receipt: null };
      const words = [
        ["open", "Fjord could not process this. Not charged. It stays open to Fjord until its keys end: Retry there uses no other."],
        ["back", "Fjord could not process this. Not charged. Not counted."],
      ];
      const said = async (panel) => (await panel.at("answer-notice").locator("p").allInnerTexts()).join(" ");
      for (const [unit, wanted] of words) {
        const panel = await scripted(browser, { messages: exchange(1, "Why?", { ...failed, unit }), free: free(3, { open: 1 }) });
        assert.equal(await said(panel), wanted);
        await panel.at("answer-notice").getByRole("button", { name: "Retry" }).click();
        if (unit === "open") {
          await until("it is asked again", async () => (await panel.orders()).some((order) => order.do === "retry"));
        } else {
          await panel.at("toast").waitFor();
          assert.equal((await panel.orders()).length, 1, "nothing was sent");
        }
        await panel.page.close();
      }
      const much = await scripted(browser, { messages: exchange(1, "Why?", { ...failed, unit: "open" }), providers: [provider("Fjord")], free: free(1, { limit: 1_001 }) });
      assert.equal(await said(much), "Fjord could not process this. Not charged.");
      assert.equal((await much.at("free").innerText()).trim(), "free");
      assert.equal(await much.at("quota").count(), 0);
    },
  },
];

/** The draft stays, Send is not there, and Enter sends nothing. */
async function blocked(panel) {
  const before = await panel.at("answer").count();
  await panel.at("composer-input").fill("One more?");
  assert.equal(await panel.at("send").count(), 0);
  await panel.page.keyboard.press("Enter");
  assert.equal(await panel.at("answer").count(), before);
  assert.equal(await panel.at("composer-input").inputValue(), "One more?");
}
