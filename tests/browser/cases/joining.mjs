// From an empty profile to a provider that can be asked.
import assert from "node:assert/strict";
import { until } from "../extension.mjs";

export const joining = [
  {
    name: "the first screen says what an invite changes before it is taken, and refuses a broken one",
    async run(bench) {
      const market = await bench.market();
      const browser = await bench.browser();
      const panel = await browser.panel();
      await panel.at("invite-input").fill("pam1:broken");
      await panel.at("invite-read").click();
      await panel.at("invite-error").waitFor();
      assert.equal(await panel.at("invite-join").count(), 0, "a broken invite cannot be taken");
      await panel.at("invite-input").fill(market.invite);
      await panel.at("invite-read").click();
      await panel.at("invite-changes").waitFor();
      const changes = await panel.at("invite-changes").innerText();
      assert.ok(changes.includes("127.0.0.1"), `it names the entry nodes: ${changes}`);
      assert.equal(await panel.at("network-state").first().getAttribute("data-state"), "unset", "nothing is taken yet");
      await panel.at("invite-join").click();
      await until("the network", async () => (await panel.at("network-state").first().getAttribute("data-state")) === "connected");
    },
  },
  {
    name: "three providers are discovered with handle, name, model and status",
    async run(bench) {
      const { market, port } = await bench.joined();
      const providers = await port.providers();
      for (const worker of market.workers) {
        const provider = providers.find(({ id }) => id === worker.id);
        assert.ok(provider, `${worker.handle} is discovered`);
        assert.equal(provider.handle, worker.handle);
        assert.equal(provider.name, worker.name);
        assert.equal(provider.status, "online");
        assert.ok(provider.models[0].id.startsWith("known:"), provider.models[0].id);
        assert.ok(provider.models[0].context > 0);
        assert.ok(provider.max_concurrent > 0);
      }
      return `${(await port.heard("network")).discovery_ms} ms from Join to a usable provider`;
    },
  },
  {
    name: "a provider that stops is shown offline, and the questions go to another",
    async run(bench) {
      const market = await bench.own_market({
        providers: [{ handle: "stays", words: 10 }, { handle: "leaves", words: 10 }],
      });
      const { port } = await bench.joined({ market, providers: 2 });
      const leaving = market.named("leaves");
      const end = await leaving.stop();
      assert.equal(end.code, 0, `SIGTERM ends a worker with 0: ${JSON.stringify(end)}`);
      await until("it is shown offline", async () =>
        (await port.providers()).find(({ id }) => id === leaving.id)?.status === "offline");
      const message = await port.answer("Who is left?");
      assert.equal(message.phase, "complete");
      assert.equal(message.provider, market.named("stays").id);
    },
  },
];
