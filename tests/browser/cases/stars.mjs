// Stars for an answer: one tap, by pointer and by keys, skippable, kept.
import assert from "node:assert/strict";
import { until } from "../extension.mjs";
import { exchange, scripted } from "../scripted.mjs";

const rated = (panel) => panel.orders().then((orders) => orders.filter((order) => order.do === "rate"));
const rate = (stars, reasons = 0) => ({ do: "rate", conversation: "c1", answer: "a2", stars, reasons });

export const stars = [
  {
    name: "reputation: stars are one tap, take reasons, and can be skipped",
    async run(bench) {
      const browser = await bench.browser();
      const messages = [...exchange(1, "Why?", { text: "So.", stars: 4 }), ...exchange(2, "And?", { text: "So too." })];
      const panel = await scripted(browser, { messages });
      assert.equal(await panel.at("rating").count(), 1, "below the newest only");
      assert.equal(await panel.at("rated").innerText(), "You rated 4 of 5");
      assert.equal(await panel.at("rating-reason").count(), 0);

      await panel.at("star-2").click();
      await until("it is told", async () => (await rated(panel)).length === 1);
      await panel.at("rating-reason").filter({ hasText: "Slow" }).click();
      await panel.at("star-5").click();
      assert.equal(await panel.page.getByRole("radio", { name: "5 stars" }).getAttribute("aria-checked"), "true");
      await panel.at("rating-reason").filter({ hasText: "Helped" }).click();
      assert.deepEqual(await rated(panel), [rate(2), rate(2, 2), rate(5), rate(5, 8)]);

      const skipped = await scripted(browser, { messages: exchange(2, "And?", { text: "So too." }) });
      await skipped.at("rating-skip").click();
      await until("it is gone", async () => (await skipped.at("rating").count()) === 0);
      assert.deepEqual(await rated(skipped), []);
      for (const phase of ["stopped", "truncated", "streaming"]) {
        const other = await scripted(browser, { messages: exchange(2, "And?", { text: "So", phase }) });
        assert.equal(await other.at("rating").count(), 0, phase);
        await other.page.close();
      }
    },
  },
  {
    name: "reputation: stars by keyboard alone: Alt+R, then a number or arrows",
    async run(bench) {
      const browser = await bench.browser();
      const panel = await scripted(browser, { messages: exchange(2, "And?", { text: "So too." }) });
      await panel.at("star-1").waitFor();
      const { keyboard } = panel.page;
      await keyboard.press("Alt+r");
      await until("the stars have the focus", () => panel.page.evaluate(() => document.activeElement?.dataset.testid === "star-1"));
      await keyboard.press("3");
      await keyboard.press("ArrowRight");
      assert.deepEqual(await until("both are told", async () => (await rated(panel)).length === 2 && rated(panel)), [rate(3), rate(4)]);
    },
  },
  {
    name: "reputation: stars are kept with the answer and weigh for its provider",
    async run(bench) {
      const { market, browser, port } = await bench.joined();
      const { id } = market.named("beta");
      const answer = await port.answer("Worth how many stars?", { provider: id });
      assert.equal(answer.phase, "complete");
      const panel = await browser.panel();
      await panel.at("star-4").click();
      await until("it is kept", async () => (await port.message(answer.id)).stars === 4);
      await until("it counts", async () => (await port.providers()).find((one) => one.id === id)?.felt?.[1] === 1);
    },
  },
];
