// An answer that another provider took over: the cut is seen at its letter, and the details name everybody.
import assert from "node:assert/strict";
import { until } from "../extension.mjs";
import { exchange, id_of, scripted } from "../scripted.mjs";

const FIRST = "The deadline has now passed, and we lost the";
const SECOND = " early discount.\n\n```sql\nSELECT 1;\n";
const THIRD = "SELECT 2;\n```\nDone.";
const kestrel = { provider: id_of("kestrel"), provider_name: "Kestrel" };

export const cuts = [
  {
    name: "failover: everybody who was asked is named as a reader, whatever came of it",
    async run(bench) {
      const browser = await bench.browser();
      const asked = [[id_of("lantern"), "Lantern"], [id_of("fjord"), "Fjord"], [id_of("kestrel"), "Kestrel"]];
      const waiting = { phase: "waiting", tokens: null, receipt: null, total_ms: null, first_ms: null, text: "" };
      const panel = await scripted(browser, { messages: exchange(1, "Why?", { ...waiting, asked }) });
      assert.equal(await panel.at("reader").innerText(), "Lantern, Kestrel and Fjord see this");
      // One refused, one is asked as the first word is late, and the first of them speaks: none of that hides a reader.
      const done = { asked, also_asked: "Kestrel", text: "Because.", why: "fastest first word of 4" };
      await panel.tell({ is: "message", conversation: "c1", message: exchange(1, "", done)[1] });
      await panel.at("answer").locator('[data-testid="answer-cost"]').click();
      const seen = await panel.at("details").innerText();
      assert.match(seen, /Fjord\s+the provider\s+yes\s+no/);
      for (const name of ["Lantern", "Kestrel"]) assert.match(seen, new RegExp(`${name}\\s+asked too\\s+yes\\s+maybe`));
      assert.doesNotMatch(seen, /Fjord\s+asked too/);
    },
  },
  {
    name: "failover: where another provider took over a divider says so, and nothing shown is written anew",
    async run(bench) {
      const browser = await bench.browser();
      const begun = { phase: "streaming", tokens: null, receipt: null, total_ms: null };
      const panel = await scripted(browser, { messages: exchange(1, "Why?", { ...begun, text: FIRST }) });
      const answer = panel.at("answer");
      assert.match(await panel.at("reader").innerText(), /^Fjord sees this/);
      const cut = { ...begun, begun_by: "Fjord", cuts: [[FIRST.length, "Kestrel", false]], ...kestrel };
      await panel.tell({ is: "message", conversation: "c1", message: exchange(1, "", { ...cut, text: "" })[1] });
      await panel.at("answer-cut").waitFor();
      await panel.tell({ is: "delta", conversation: "c1", answer: "a1", text: SECOND });
      await until("it goes on", async () => /early discount/.test(await panel.at("answer-text").innerText()));
      assert.match((await panel.at("answer-text").innerText()).replace(/\s+/g, " "), /we lost the continued by Kestrel early discount\./);
      assert.equal(await panel.at("reader").innerText(), "Fjord and Kestrel see this");

      // Inside the code block a third one goes on.
      const at = (FIRST + SECOND).length;
      const marta = { ...cut, cuts: [...cut.cuts, [at, "Marta", false]], provider: id_of("marta"), provider_name: "Marta" };
      await panel.tell({ is: "message", conversation: "c1", message: exchange(1, "", { ...marta, text: "" })[1] });
      await panel.tell({ is: "delta", conversation: "c1", answer: "a1", text: THIRD });
      const done = { ...marta, phase: "complete", tokens: [38, 30], total_ms: 3_000, receipt: "valid", unit: "used", text: FIRST + SECOND + THIRD };
      await panel.tell({ is: "message", conversation: "c1", message: exchange(1, "", { ...done, also_asked: "Lantern", why: "fastest first word of 4" })[1] });
      await until("two blocks of code", async () => (await panel.at("code-block").count()) === 2);
      assert.deepEqual((await panel.at("code-block").locator("code").allInnerTexts()).map((text) => text.trim()), ["SELECT 1;", "SELECT 2;"]);

      await answer.locator('[data-testid="answer-cost"]').click();
      const said = (await panel.at("details-choice").innerText()).replace(/\s+/g, " ");
      assert.equal(said, "Chosen because fastest first word of 4 Also asked Lantern, as the first word was late Begun by Fjord Continued by Kestrel, which went on after 9 words Continued by Marta, which went on after 14 words");
      const seen = await panel.at("details").innerText();
      for (const name of ["Fjord", "Kestrel", "Lantern"]) assert.match(seen, new RegExp(`${name}\\s+asked too\\s+yes\\s+maybe`));
    },
  },
  {
    name: "failover: an answer that began anew says who stopped and who answers",
    async run(bench) {
      const browser = await bench.browser();
      const messages = exchange(1, "Why?", { text: `${FIRST}Anew.`, begun_by: "Fjord", cuts: [[FIRST.length, "Kestrel", true]], ...kestrel });
      const panel = await scripted(browser, { messages });
      assert.equal(await panel.at("answer-cut").innerText(), "Fjord stopped here. Kestrel answers anew:");
      assert.match((await panel.at("answer-text").innerText()).trim(), /^The deadline.*lost the\s+Fjord stopped here\. Kestrel answers anew:\s+Anew\.$/);
    },
  },
];
