// Questions and answers of known text.
import assert from "node:assert/strict";
import { until } from "../extension.mjs";
import { Mock } from "../market.mjs";

/** Three lengths that the test server lists as models. */
const WORDS = [5, 10, 20];

export const asking = [
  {
    name: "a question typed in the panel is answered, streamed, word for word",
    async run(bench) {
      const { market, browser } = await bench.joined();
      const panel = await browser.panel();
      await panel.pick(market.named("gamma").id);
      const question = "What streams?";
      const answer = await panel.send(question);
      const lengths = new Set();
      const text = answer.locator('[data-testid="answer-text"]');
      await until("the end", async () => {
        lengths.add((await text.count()) > 0 ? (await text.innerText()).length : 0);
        return !["waiting", "streaming"].includes(await answer.getAttribute("data-phase"));
      });
      const end = await panel.ended(answer);
      assert.equal(end.phase, "complete");
      assert.equal(end.text.trim(), Mock.text(question, 1000).trim());
      assert.ok(lengths.size > 10, `it grew in ${lengths.size} steps`);
    },
  },
  {
    name: "switching the provider in the panel sends the next question to the other one",
    async run(bench) {
      const { market, browser } = await bench.joined();
      const panel = await browser.panel();
      let turn = 0;
      for (const [handle, words] of [["alpha", 50], ["beta", 20], ["alpha", 50]]) {
        const worker = market.named(handle);
        await panel.pick(worker.id);
        const question = `Question ${(turn += 1)}: who answers?`;
        const end = await panel.ended(await panel.send(question));
        assert.equal(end.phase, "complete");
        assert.equal(end.provider, worker.id);
        assert.equal(end.text.trim(), Mock.text(question, words).trim());
      }
      assert.equal(await panel.at("answer").count(), 3, "one conversation");
    },
  },
  {
    name: "Stop ends an answer at once, keeps its text and frees the worker",
    async run(bench) {
      const { market, browser } = await bench.joined();
      const panel = await browser.panel();
      await panel.pick(market.named("gamma").id);
      const question = "How long is long?";
      const answer = await panel.send(question);
      await until("it streams", async () => (await answer.getAttribute("data-phase")) === "streaming");
      await panel.at("stop").first().click();
      const end = await panel.ended(answer);
      assert.equal(end.phase, "stopped");
      const whole = Mock.text(question, 1000);
      assert.ok(end.text.trim().length > 0 && end.text.length < whole.length, `${end.text.length} of ${whole.length}`);
      assert.ok(whole.startsWith(end.text.trim()), "what was shown is the answer's start");
      const next = await panel.ended(await panel.send("And now?"));
      assert.equal(next.phase, "complete");
    },
  },
  {
    name: "200 requests over three providers reach the one they were meant for, every time",
    async run(bench) {
      const market = await bench.own_market({
        providers: WORDS.map((words) => ({ handle: `words-${words}`, words })),
      });
      const { port } = await bench.joined({ market });
      const count = bench.deep ? 2_000 : 200;
      const asked = Array.from({ length: count }, (_, n) => ({ worker: market.workers[n % 3], words: WORDS[n % 3], text: `Question ${n} of ${count}` }));
      const waiting = [...asked];
      const lane = async () => {
        for (let one = waiting.shift(); one; one = waiting.shift()) {
          one.message = await port.answer(one.text, { provider: one.worker.id });
        }
      };
      await Promise.all(Array.from({ length: 8 }, lane));
      const wrong = asked.filter(({ worker, words, text, message }) =>
        message.phase !== "complete" || message.provider !== worker.id || message.text.trim() !== Mock.text(text, words).trim());
      assert.deepEqual(wrong.map(({ text, message }) => [text, message.phase, message.provider]), []);
      return `${count} of ${count}`;
    },
  },
  {
    name: "a backend that fails ends in an honest error and the next question works",
    async run(bench) {
      const market = await bench.own_market({ providers: [{ handle: "broken", model: "html_502" }, { handle: "whole", words: 10 }] });
      const { port } = await bench.joined({ market, providers: 2 });
      const broken = await port.answer("Does it break?", { provider: market.named("broken").id });
      assert.ok(["error", "truncated"].includes(broken.phase), broken.phase);
      const whole = await port.answer("Does it hold?", { provider: market.named("whole").id });
      assert.equal(whole.phase, "complete");
    },
  },
];
