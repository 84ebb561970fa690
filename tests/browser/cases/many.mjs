// Ten people at once.
import assert from "node:assert/strict";
import { Mock } from "../market.mjs";

const PEOPLE = 10;
const VISIBLE = 2;

export const many = [
  {
    name: "ten profiles at once, two of them with a visible panel, are all answered word for word",
    async run(bench) {
      const market = await bench.market();
      const people = [];
      // Browsers start one after the other, as ten people do; the questions are asked at once.
      for (let n = 0; n < PEOPLE; n += 1) people.push(await bench.joined({ market }));
      const worker = market.named("alpha");
      await Promise.all(people.map(async ({ browser, port }, n) => {
        const question = `Person ${n} asks`;
        const expected = Mock.text(question, 50).trim();
        if (n < VISIBLE) {
          const panel = await browser.panel();
          await panel.pick(worker.id);
          const end = await panel.ended(await panel.send(question));
          assert.equal(end.phase, "complete");
          assert.equal(end.text.trim(), expected);
        } else {
          const message = await port.answer(question, { provider: worker.id });
          assert.equal(message.phase, "complete");
          assert.equal(message.text.trim(), expected);
        }
      }));
    },
  },
];
