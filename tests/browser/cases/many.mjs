// Ten people at once, and one for a long time.
import assert from "node:assert/strict";
import { LIVE } from "../extension.mjs";
import { Mock } from "../market.mjs";

const PEOPLE = 10;
const VISIBLE = 2;
const SOAK_MS = 600_000;
/** Every so often a worker of the soak is killed and started again. */
const KILL_MS = 30_000;

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
  {
    name: "ten minutes of questions while workers die and come back: each is answered word for word or ends honestly",
    long: true,
    seconds: SOAK_MS / 1_000 + 300,
    async run(bench) {
      const words = [10, 50, 100];
      const market = await bench.own_market({ providers: words.map((words) => ({ handle: `words-${words}`, words })), pinned: true });
      const { port } = await bench.joined({ market });
      const end = Date.now() + SOAK_MS;
      const count = {};
      const lane = async (lane) => {
        for (let n = 0; Date.now() < end; n += 1) {
          const which = (lane + n) % words.length;
          const text = `Question ${n} of lane ${lane}`;
          const { phase, text: got } = await port.answer(text, { provider: market.workers[which].id, seconds: 120 });
          const whole = Mock.text(text, words[which]).trim();
          assert.ok(!LIVE.includes(phase) && whole.startsWith(got.trim()), `${text}: ${phase}, never wrong text`);
          if (phase === "complete") assert.equal(got.trim(), whole);
          count[phase] = (count[phase] ?? 0) + 1;
          // As people do, before they ask once more.
          if (phase !== "complete") await new Promise((resolve) => setTimeout(resolve, 1_000));
        }
      };
      const killer = async () => {
        for (let n = 0; Date.now() + KILL_MS < end; n += 1) {
          await new Promise((resolve) => setTimeout(resolve, KILL_MS));
          const worker = market.workers[n % words.length];
          await worker.stop("SIGKILL");
          await worker.start();
        }
      };
      await Promise.all([killer(), ...Array.from({ length: 4 }, (_, n) => lane(n))]);
      const asked = Object.values(count).reduce((sum, some) => sum + some, 0);
      assert.ok(count.complete > 0.9 * asked, JSON.stringify(count));
      return `${count.complete} of ${asked} whole, the others honestly cut`;
    },
  },
];
