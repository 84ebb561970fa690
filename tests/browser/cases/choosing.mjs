// The user's own way of choosing: weights in place of a preset, and the list of the only ones that are asked.
import assert from "node:assert/strict";
import { remove, temporary } from "../ending.mjs";
import { until } from "../extension.mjs";
import { id_of, provider, scripted } from "../scripted.mjs";

const set = async (panel) => (await panel.orders()).filter((order) => order.do === "set").at(-1)?.settings;

export const choosing = [
  {
    name: "health: weights are sliders that presets set, moved by keys, and one of them must count",
    async run(bench) {
      const panel = await scripted(await bench.browser(), { settings: { prefer: "cheapest" } });
      await panel.page.evaluate(() => (location.hash = "/providers"));
      const group = panel.page.getByRole("radiogroup", { name: "Automatic looks at" });
      assert.equal(await panel.at("weights").count(), 0, "a preset needs no sliders");
      await group.getByRole("radio", { name: "Custom" }).click();
      const slider = (name) => panel.page.getByRole("slider", { name });
      assert.equal(await slider("Price").inputValue(), "75", "they begin with the preset's");
      assert.deepEqual((await set(panel)).weights, [10, 75, 10, 5]);
      await slider("Price").focus();
      await panel.page.keyboard.press("End");
      await until("the weight", async () => (await set(panel)).weights[1] === 100);
      for (const name of ["Speed", "Reputation", "Free slots"]) await slider(name).fill("0");
      await until("price alone", async () => JSON.stringify((await set(panel)).weights) === "[0,100,0,0]");
      await slider("Price").fill("0");
      assert.match(await panel.at("toast").innerText(), /One of the four must count/);
      assert.deepEqual((await set(panel)).weights, [0, 100, 0, 0]);
      assert.equal(await slider("Price").inputValue(), "100", "it goes back");
      await group.getByRole("radio", { name: "Trusted" }).click();
      await until("the preset", async () => (await set(panel)).weights === null && (await set(panel)).prefer === "trusted");
      assert.equal(await panel.at("weights").count(), 0);
    },
  },
  {
    name: "health: lists of the settings name their providers and let them go",
    async run(bench) {
      const settings = { allowed: [id_of("fjord"), id_of("gone")], blocked: [id_of("kestrel")] };
      const panel = await scripted(await bench.browser(), { settings, providers: [provider("Fjord"), provider("Kestrel", { blocked: true })] });
      await panel.page.evaluate(() => (location.hash = "/settings"));
      assert.deepEqual(await panel.at("list-only").allInnerTexts(), ["Fjord", "gone aaaa aaaa aaa…"]);
      await panel.page.getByRole("button", { name: "Take Fjord off the list “Only these”" }).click();
      await panel.page.getByRole("button", { name: "Take Kestrel off the list “Never these”" }).click();
      const now = await until("both are off", async () => {
        const now = await set(panel);
        return now?.blocked.length === 0 && now;
      });
      assert.deepEqual(now.allowed, [id_of("gone")]);
      await panel.page.getByText("Nobody is blocked.").waitFor();
    },
  },
  {
    name: "health: only those on the list are asked, and list and weights survive a restart",
    async run(bench) {
      const profile = await temporary("choosing");
      try {
        const market = await bench.market();
        const [alpha, beta, gamma] = ["alpha", "beta", "gamma"].map((handle) => market.named(handle).id);
        const first = await bench.joined({ profile });
        const panel = await first.browser.panel();
        await panel.providers(3);
        await panel.at("prefer-custom").click();
        await panel.at("weight-load").fill("100");
        const of = (id, part) => panel.page.locator(`[data-testid="provider-row"][data-provider-id="${id}"] [data-testid="${part}"]`);
        await of(beta, "provider-more").click();
        await of(beta, "provider-only").click();
        const blocked = (id) => panel.page.locator(`[data-testid="provider-row"][data-provider-id="${id}"][data-blocked="true"]`);
        for (const id of [alpha, gamma]) await blocked(id).waitFor();
        assert.equal(await blocked(beta).count(), 0);
        const three = async (port, words) => Promise.all([1, 2, 3].map((n) => port.answer(`${words} ${n}?`)));
        assert.deepEqual((await three(first.port, "Who is asked")).map(({ provider }) => provider), [beta, beta, beta]);

        // Let in, alpha is one of the only ones; gamma stays out.
        await of(alpha, "provider-block").click();
        await until("alpha is on the list", async () => (await first.port.heard("settings")).allowed.includes(alpha));
        await blocked(gamma).waitFor();
        await first.browser.close();

        const again = await bench.browser({ profile });
        const port = await again.port();
        const { allowed, weights } = await port.heard("settings");
        assert.deepEqual([allowed, weights], [[beta, alpha], [40, 20, 25, 100]]);
        await port.usable(3);
        const asked = await three(port, "And after");
        assert.ok(asked.every(({ provider }) => [alpha, beta].includes(provider)), "nobody else");
        await port.order({ do: "allow", provider: beta, on: false });
        await port.order({ do: "block", provider: alpha, on: true });
        await until("nobody is left", async () => (await port.heard("settings")).blocked?.length === 1);
        assert.equal((await port.answer("Anybody?")).phase, "no_provider");
      } finally {
        await remove(profile);
      }
    },
  },
];
