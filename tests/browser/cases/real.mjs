// The model that the demo runs.
import assert from "node:assert/strict";

export const real = [
  {
    name: "two workers with the embedded model answer with text of their own",
    async run(bench) {
      // Their names pick different presets: plain prose and numbered lists.
      const market = await bench.own_market({
        providers: [{ handle: "brightwater", name: "Brightwater" }, { handle: "kestrel", name: "Kestrel" }],
      });
      const { port } = await bench.joined({ market, providers: 2 });
      const said = [];
      for (const worker of market.workers) {
        const message = await port.answer(`What is the capital of France, ${worker.name}?`, { provider: worker.id, seconds: 150 });
        assert.equal(message.phase, "complete", `${worker.handle}: ${message.phase} ${message.code ?? ""}`);
        assert.equal(message.provider, worker.id);
        assert.ok(message.text.trim().length > 10, message.text);
        assert.ok(message.tokens[1] > 0, "tokens are counted");
        said.push(`${message.tokens[1]} tokens`);
      }
      return said.join(", ");
    },
  },
];
