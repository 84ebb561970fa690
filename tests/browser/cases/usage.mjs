// What was asked, in figures: by day and by provider, as bars and as tables of the same.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { until } from "../extension.mjs";

const cells = (panel, id) => panel.at(id).locator("tbody tr").evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.innerText.trim())));

export const usage = [
  {
    name: "the usage page counts what was asked by day and by provider, as chart and as table",
    async run(bench) {
      const { market, browser, port } = await bench.joined();
      const [alpha, beta] = ["alpha", "beta"].map((handle) => market.named(handle).id);
      for (const [n, provider] of [alpha, beta, alpha].entries()) {
        assert.equal((await port.answer(`Counted ${n}?`, { provider })).phase, "complete");
      }
      const panel = await browser.panel("tab", { width: 1280, height: 800 });
      await panel.at("nav-usage").click();
      await panel.at("usage-providers").waitFor();
      const byProvider = await cells(panel, "usage-providers");
      assert.deepEqual(byProvider.map(([name, questions, done]) => [name, questions, done]), [["Alpha", "2", "100.0 %"], ["Beta", "1", "100.0 %"]]);
      const chart = panel.page.getByRole("img", { name: /Questions a day since .*: at most \d, 3 in all/ });
      await chart.waitFor();
      await panel.at("usage-table").click();
      await until("the table", () => panel.at("usage-days").isVisible());
      const days = await cells(panel, "usage-days");
      const sum = (at) => days.reduce((sum, day) => sum + Number(day[at]), 0);
      assert.deepEqual([sum(1), sum(2)], [2, 1], "also when midnight came between");
      // The first words as lines, and as a table of the same.
      await panel.page.getByRole("img", { name: /Seconds to the first word a day since .*: [12] days with answers/ }).waitFor();
      assert.match(await panel.at("usage").innerText(), /First word, typical\s+\d[\d.]* s\s+1 in 20 took over \d[\d.]* s/);
      await panel.at("usage-firsts-table").click();
      await until("its table", () => panel.at("usage-first-days").isVisible());
      for (const [, half, most] of await cells(panel, "usage-first-days")) assert.ok(Number(half) > 0 && Number(most) >= Number(half));
      await panel.at("usage-span-84").click();
      await until("still three", async () => (await panel.at("usage").innerText()).includes("0 not answered to the end"));

      // A receipt of each answer is here, with what it takes to verify it.
      const [download] = await Promise.all([panel.page.waitForEvent("download"), panel.at("export-receipts").click()]);
      assert.equal(download.suggestedFilename(), "privacyai-receipts.json");
      const { format, version, receipts } = JSON.parse(await readFile(await download.path(), "utf8"));
      assert.deepEqual([format, version], ["privacyai-receipts", 1]);
      assert.deepEqual(receipts.map(({ provider }) => provider).sort(), [alpha, alpha, beta].sort());
      for (const { signed_by, receipt, completion, counts_look_wrong, finish, model } of receipts) {
        assert.match(signed_by, /^0[23][0-9a-f]{64}$/);
        assert.match(receipt, /^([0-9a-f]{2}){200,}$/);
        assert.ok(completion > 0 && finish && model);
        assert.equal(counts_look_wrong, false);
      }

      // Counted anew whenever the page is opened.
      await panel.go("/");
      assert.equal((await port.answer("Counted 3?", { provider: beta })).phase, "complete");
      await panel.go("/usage");
      await until("four", async () => JSON.stringify((await cells(panel, "usage-providers")).map(([name, count]) => [name, count])) === JSON.stringify([["Alpha", "2"], ["Beta", "2"]]));
    },
  },
];
