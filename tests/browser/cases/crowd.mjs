// A market of a thousand providers, each with a key of its own: the list stays quick.
import assert from "node:assert/strict";
import { Ended, until } from "../extension.mjs";

const COUNT = 1_000;
/** The most rows in the page. */
const MOST = 60;

export const crowd = [
  {
    name: "a thousand verified providers are listed, searched and ordered, sixty at most in the page",
    seconds: 300,
    async run(bench) {
      const market = await bench.own_market({ providers: [{ handle: "asked", name: "Asked", words: 5 }] });
      const program = market.beside(process.env.CROWD, COUNT);
      const { browser, port } = await bench.joined({ market, providers: 1 });
      await until("all have announced themselves", () => {
        if (program.end) throw new Ended(program.lastWords());
        return program.out.includes("announced");
      }, 120);
      const usable = await port.usable(COUNT, 120);
      assert.ok(usable.filter(({ name }) => name.startsWith("Crowd ")).length >= COUNT, "each is verified and can be asked");

      const panel = await browser.panel("tab", { width: 1280, height: 800 });
      await panel.page.evaluate(watch);
      await panel.go("/providers");
      await panel.page.getByText("1,001 providers, ").waitFor();
      assert.ok((await panel.at("provider-row").count()) <= MOST, "those near what is seen are in the page");
      assert.equal(await panel.page.getByRole("table").getAttribute("aria-rowcount"), "1002");
      const area = panel.at("provider-area");
      const read = new Set();
      for (let turn = 0; turn < 200; turn += 1) {
        const rows = await panel.at("provider-row").evaluateAll((rows) => rows.map((row) => row.dataset.providerId));
        rows.forEach((id) => read.add(id));
        if (await area.evaluate(scroll_on)) break;
      }
      assert.equal(read.size, COUNT + 1, "each is met on the way down");
      await area.evaluate((area) => (area.scrollTop = 0));
      await panel.at("provider-search").fill("crowd 77");
      await until("those named so", async () => (await panel.at("provider-row").count()) === 11);
      await panel.at("provider-search").fill("");
      await panel.page.getByRole("columnheader", { name: "Provider" }).getByRole("button").click();
      await until("the first by name", async () => (await panel.at("provider-row").first().innerText()).includes("Asked"));
      // Through one round of heartbeats, an answer and a rating, which orders all of them anew.
      const answer = await port.answer("Who is best?", { provider: market.named("asked").id });
      assert.equal(answer.phase, "complete");
      await port.order({ do: "rate", conversation: answer.conversation, answer: answer.id, stars: 5, reasons: 0 });
      await new Promise((resolve) => setTimeout(resolve, 15_000));
      const tasks = await panel.page.evaluate(() => globalThis.tasks);
      // Told, not judged: what else this machine does counts into it.
      return tasks.length === 0 ? "no task of the page above 50 ms" : `tasks of ${tasks.join(", ")} ms`;
    },
  },
];

/** Runs in the page: keeps tasks of 50 ms and more, as the browser tells them. */
function watch() {
  globalThis.tasks = [];
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) globalThis.tasks.push(Math.round(duration));
  }).observe({ type: "longtask", buffered: true });
}

/** Runs in the page: a screen further; true at the end. */
async function scroll_on(area) {
  area.scrollTop += 600;
  for (let frame = 0; frame < 3; frame += 1) await new Promise(requestAnimationFrame);
  return area.scrollTop + area.clientHeight >= area.scrollHeight - 1;
}
