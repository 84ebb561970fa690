// Nothing moves while an answer comes: the sum of the browser's own layout shifts.
import assert from "node:assert/strict";
import { until } from "../extension.mjs";

/** The most that may move, as ui.md says it. */
const MOST = 0.02;

export const still = [
  {
    name: "an answer moves nothing that is on the screen: layout shift of 0.02 at most",
    async run(bench) {
      const { market, browser } = await bench.joined();
      const sums = [];
      for (const [handle, view] of [["gamma", "popup"], ["alpha", "popup"], ["gamma", "tab"]]) {
        const panel = await browser.panel(view, view === "tab" ? { width: 1280, height: 800 } : undefined);
        await panel.pick(market.named(handle).id);
        await panel.at("new-chat").click();
        await panel.at("composer-input").fill("What moves?");
        // The picking, typing and sending itself is the user's; from here on it is ours.
        await panel.page.evaluate(watch);
        await panel.page.keyboard.press("Enter");
        await until("the answer is there", async () => (await panel.at("answer").count()) > 0);
        const end = await panel.ended(panel.at("answer").last());
        assert.equal(end.phase, "complete");
        // What comes with the end is drawn.
        await panel.page.evaluate(() => new Promise((done) => setTimeout(done, 300)));
        const { sum, worst } = await panel.page.evaluate(() => globalThis.moved());
        assert.ok(sum <= MOST, `${handle} in the ${view}: ${sum.toFixed(4)}\n${worst.join("\n")}`);
        sums.push(sum.toFixed(4));
        await panel.page.close();
      }
      return sums.join(", ");
    },
  },
];

/** Runs in the page: adds up every shift, those soon after a key as well. */
function watch() {
  const entries = [];
  const name = (node) => (node?.nodeType === 1 ? `${node.tagName}.${node.className}` : node?.parentElement?.outerHTML?.slice(0, 120));
  const take = (list) => {
    for (const entry of list) {
      const sources = entry.sources.map(({ node, previousRect: a, currentRect: b }) =>
        `${name(node)} ${a.x},${a.y} ${a.width}x${a.height} -> ${b.x},${b.y} ${b.width}x${b.height}`);
      entries.push({ value: entry.value, sources });
    }
  };
  const observer = new PerformanceObserver((list) => take(list.getEntries()));
  observer.observe({ type: "layout-shift" });
  globalThis.moved = () => {
    take(observer.takeRecords());
    const worst = [...entries].sort((a, b) => b.value - a.value).slice(0, 12);
    return {
      sum: entries.reduce((sum, { value }) => sum + value, 0),
      worst: worst.map(({ value, sources }) => `${value.toFixed(5)} ${sources.join(" | ")}`),
    };
  };
}
