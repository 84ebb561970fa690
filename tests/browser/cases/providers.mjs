// The list of providers: what it shows of each, its orders, and who is never asked.
import assert from "node:assert/strict";
import { until } from "../extension.mjs";
import { id_of, model, provider, scripted } from "../scripted.mjs";

const WIDE = { width: 1280, height: 800 };
const FOUR = [
  provider("Marta", { place: 2, first_ms: [900, 1_800], tenth_tokens_per_s: 400, felt: [4_200, 7] }),
  provider("Kestrel", { place: 0, why: "fastest first word of 3 with your model, 1 % of requests failed", first_ms: [200, 400], felt: [4_900, 2], recent_first_ms: [200] }),
  provider("Fjord", { place: 1, state: "degraded", first_ms: [410, 860], models: [model("gpt-oss-20b", { price: ["1500", "4500000"] })] }),
  provider("Silent", { usable: false, status: "offline", first_ms: null, success: null, measured: null, tenth_tokens_per_s: null, recent_first_ms: [] }),
];
const names = (panel) => panel.page.locator('[data-testid="provider-row"] .font-semibold').allInnerTexts();
const row = (panel, name) => panel.page.locator(`[data-testid="provider-row"][data-provider-id="${id_of(name)}"]`);
const order = (panel, wanted) => until(`the order ${wanted}`, async () => JSON.stringify(await names(panel)) === JSON.stringify(wanted));

async function listed(bench, viewport, more = {}) {
  const browser = await bench.browser();
  const panel = await scripted(browser, { providers: FOUR, ...more }, viewport);
  await panel.page.evaluate(() => (location.hash = "/providers"));
  await panel.at("provider-row").first().waitFor();
  return panel;
}

export const providers = [
  {
    name: "health: the list shows each provider's state, figures and reason, and its columns order it",
    async run(bench) {
      const panel = await listed(bench, WIDE);
      await order(panel, ["Kestrel", "Fjord", "Marta", "Silent"]);
      assert.match(await panel.page.locator("#automatic-name + p").innerText(), /^Kestrel now: fastest first word of 3 with your model, 1 % of requests failed\./);
      assert.match(await row(panel, "fjord").innerText(), /Failed lately/);
      assert.match(await row(panel, "silent").innerText(), /Offline since/);
      const said = async (name) => (await row(panel, name).innerText()).replace(/\s+/g, " ");
      assert.match(await said("fjord"), /1,500 \/ 4,500,000 .*0\.41 \/ 0\.86 s .*84 99\.1 % of 312 – 5\.0 \(312\) Community/);
      assert.match(await said("kestrel"), /free 0\.20 \/ 0\.40 s .*new \(2\)/);
      assert.match(await row(panel, "marta").locator('[data-testid="spark"]').innerText(), /Last 5 first words, oldest first: 0\.43, 0\.39, 0\.52, 0\.40, 0\.41 s/);

      const head = (name) => panel.page.getByRole("columnheader", { name });
      assert.equal(await head("First word").getAttribute("aria-sort"), "none");
      await head("First word").getByRole("button").click();
      await order(panel, ["Kestrel", "Fjord", "Marta", "Silent"]);
      assert.equal(await head("First word").getAttribute("aria-sort"), "ascending");
      await head("First word").getByRole("button").click();
      await order(panel, ["Marta", "Fjord", "Kestrel", "Silent"]);
      assert.equal(await head("First word").getAttribute("aria-sort"), "descending");
      await head("Provider").getByRole("button").click();
      await order(panel, ["Fjord", "Kestrel", "Marta", "Silent"]);

      await panel.at("provider-state").selectOption("degraded");
      await order(panel, ["Fjord"]);
      await panel.at("provider-state").selectOption("");
      await panel.at("provider-search").fill("oss");
      await order(panel, ["Fjord"]);
      await row(panel, "fjord").locator('[data-testid="provider-more"]').click();
      const facts = (await panel.at("provider-facts").innerText()).replace(/\s+/g, " ");
      assert.match(facts, /Key fjor daaa .*Community Sealed on the way\. The operator can read your words and has nothing at stake\. Announces answers in 0\.41 s · 84 tok\/s · 4 at once/);
      await panel.at("provider-search").fill("nobody");
      await panel.page.getByText("No provider matches.").waitFor();
    },
  },
  {
    name: "health: presets are a radio group, and cards are ordered by a list",
    async run(bench) {
      const panel = await listed(bench, { width: 360, height: 640 });
      const group = panel.page.getByRole("radiogroup", { name: "Automatic looks at" });
      assert.equal(await group.getByRole("radio", { name: "Balanced" }).getAttribute("aria-checked"), "true");
      await group.getByRole("radio", { name: "Balanced" }).focus();
      await panel.page.keyboard.press("ArrowRight");
      const set = await until("the setting", async () => (await panel.orders()).find((order) => order.do === "set"));
      assert.equal(set.settings.prefer, "fastest");
      assert.equal(await group.getByRole("radio", { name: "Fastest" }).getAttribute("aria-checked"), "true");
      await panel.at("provider-order").selectOption({ label: "Stars" });
      await order(panel, ["Kestrel", "Marta", "Fjord", "Silent"]);
    },
  },
  {
    name: "health: who is blocked is never asked, stands last, and can be let in again",
    async run(bench) {
      const { market, browser, port } = await bench.joined();
      const [alpha, beta, gamma] = ["alpha", "beta", "gamma"].map((handle) => market.named(handle).id);
      const panel = await browser.panel();
      await panel.providers(3);
      const of = (id) => panel.page.locator(`[data-testid="provider-row"][data-provider-id="${id}"]`);
      const ids = () => panel.at("provider-row").evaluateAll((rows) => rows.map((row) => row.dataset.providerId));
      for (const id of [alpha, gamma]) {
        await of(id).locator('[data-testid="provider-block"]').click();
        await until("it is blocked", async () => (await of(id).getAttribute("data-blocked")) === "true");
      }
      await until("they stand last", async () => (await ids())[0] === beta);
      assert.equal(await of(alpha).locator('[data-testid="provider-pick"]').count(), 0);
      const asked = await Promise.all([1, 2, 3, 4, 5].map((n) => port.answer(`Who but beta, ${n}?`)));
      assert.deepEqual(asked.map(({ phase, provider }) => [phase, provider]), asked.map(() => ["complete", beta]));

      // The list outlives the browser's background with the settings.
      await of(beta).locator('[data-testid="provider-block"]').click();
      await until("nobody is left", async () => (await port.heard("settings")).blocked?.length === 3);
      assert.equal((await port.answer("Anybody?")).phase, "no_provider");
      await of(alpha).locator('[data-testid="provider-block"]').click();
      await until("it is let in", async () => (await of(alpha).getAttribute("data-blocked")) === "false");
      const again = await port.answer("Who now?");
      assert.deepEqual([again.phase, again.provider], ["complete", alpha]);
    },
  },
];
