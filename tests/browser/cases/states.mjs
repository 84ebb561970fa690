// Every way in which a question can fail, as its user sees it: the right words, and a button that does what it says.
import assert from "node:assert/strict";
import { until } from "../extension.mjs";
import { exchange, id_of, model, provider, scripted } from "../scripted.mjs";

const BUSY = { status: "busy", waiting: 2 };
const LONG = "word ".repeat(33_000);
const two = (more = {}) => [provider("Fjord", more), provider("Kestrel", more)];
const retry = (to = null) => ({ do: "retry", conversation: "c1", answer: "a1", provider: to && id_of(to) });
const go_on = (to = null) => ({
  do: "ask", conversation: "c1", begins: null, text: "Continue exactly where your last answer stopped.", replaces: null, provider: to && id_of(to),
});

/** An answer's state, what it says, the button that is pressed, and what that orders. */
const STATES = [
  ["stalled", { phase: "stalled", text: "Some words" }, "No new words for a while. Nothing is charged while we wait.", "Switch now", [{ do: "stop", answer: "a1" }, go_on("kestrel")]],
  ["stalled before a word", { phase: "stalled" }, "No new words for a while. Nothing is charged while we wait.", "Switch now", [{ do: "stop", answer: "a1" }, retry("kestrel")]],
  ["truncated", { phase: "truncated", text: "Three words came" }, "Cut off after 3 words. Fjord went silent before the end. Not charged; what came is kept.", "Continue with Kestrel", [go_on("kestrel")]],
  ["silent", { phase: "silent" }, "Fjord did not answer. Not charged; your question is kept.", "Ask Kestrel", [retry("kestrel")]],
  ["no provider", { phase: "no_provider", provider: null, provider_name: null, model: null }, "No provider can answer now. Not sent, not counted.", "Ask Fjord", [retry("fjord")]],
  ["no network", { phase: "no_network", provider: null, provider_name: null }, "No way to the network. Not sent; your question is kept.", "Try now", [{ do: "try_now" }]],
  ["model gone", { phase: "error", code: 4 }, "Fjord does not offer this model now. Not counted.", "Ask Kestrel", [retry("kestrel")]],
  ["busy", { phase: "error", code: 5, retry_after: 20 }, "Fjord is busy. Not charged. First free in about 20 s.", "Ask Kestrel", [retry("kestrel")]],
  ["refused", { phase: "error", code: 9 }, "Fjord declined this. Not charged.", "Ask Kestrel", [retry("kestrel")]],
  ["other", { phase: "error", code: 12 }, "Fjord could not process this. Not charged.", "Retry", [retry()]],
  ["too large", { phase: "error", code: 8, provider: null, provider_name: null, accept_ms: null }, "About 41 k tokens do not fit 32 k. Not sent.", "Larger model, at Kestrel",
    [{ do: "choose", provider: id_of("kestrel"), model: "big" }, retry()],
    { question: LONG, providers: [provider("Fjord"), provider("Kestrel", { models: [model("big", { context: 131_072, detail: "", tokens_per_s: 20 })] })] }],
];

export const states = [
  {
    name: "each failure has its words and a button that does what it says",
    async run(bench) {
      const browser = await bench.browser();
      for (const [name, answer, words, press, wanted, more = {}] of STATES) {
        const panel = await scripted(browser, { messages: exchange(1, more.question ?? "Why?", { tokens: null, receipt: null, ...answer }), providers: more.providers ?? two() });
        const notice = panel.at("answer-notice");
        await notice.waitFor();
        const [title, body] = await notice.locator("p").allInnerTexts();
        assert.equal(`${title} ${body}`, words, name);
        await notice.getByRole("button", { name: press, exact: true }).click();
        const orders = await until(`what ${press} orders (${name})`, async () => {
          const orders = (await panel.orders()).filter((order) => order.do !== "hello");
          return orders.length >= wanted.length && orders;
        });
        assert.deepEqual(orders, wanted, name);
        await panel.page.close();
      }
      return `${STATES.length} states`;
    },
  },
  {
    name: "only the newest answer can be asked again, as what follows an older one would be lost",
    async run(bench) {
      const browser = await bench.browser();
      const messages = [
        ...exchange(1, "Why?", { text: "So." }), ...exchange(2, "How?", { text: "It is", phase: "stopped" }),
        ...exchange(3, "Where?", { phase: "error", code: 12, tokens: null, receipt: null }), ...exchange(4, "And when?", { text: "Now." }),
      ];
      const panel = await scripted(browser, { messages });
      const answer = (n) => panel.page.locator(`[data-message-id="a${n}"]`);
      const buttons = (n) => answer(n).locator("button").evaluateAll((all) => all.map(({ dataset }) => dataset.act ?? dataset.testid));
      assert.deepEqual(await buttons(1), ["answer-cost", "answer-copy"]);
      assert.deepEqual(await buttons(2), ["answer-cost", "answer-copy"]);
      assert.deepEqual(await buttons(3), ["details"]);
      assert.match(await answer(3).innerText(), /Fjord could not process this\./, "it is still told");
      assert.deepEqual((await buttons(4)).slice(0, 4), ["answer-cost", "answer-copy", "answer-retry", "answer-other"]);
      await panel.at("answer-retry").click();
      await until("it is asked again", async () => (await panel.orders()).some((order) => order.do === "retry" && order.answer === "a4"));
    },
  },
  {
    name: "a window that begins a chat shows its own, not one that another window begins meanwhile",
    async run(bench) {
      const browser = await bench.browser();
      const panel = await scripted(browser, {});
      await panel.at("composer-input").fill("Mine?");
      await panel.at("send").click();
      const { begins, conversation } = await until("it is asked", async () => (await panel.orders()).find((order) => order.do === "ask"));
      assert.match(begins, /^[0-9a-f]{16}$/);
      assert.equal(conversation, null);
      const tell = async (id, question, answer) => {
        const messages = exchange(1, question, { text: answer, phase: "streaming" }).map((message) => ({ ...message, id: `${message.id}${id}` }));
        await panel.tell({ is: "conversation", conversation: { id, title: question, messages, pinned: null } });
        await panel.tell({ is: "message", conversation: id, message: messages[1] });
      };
      await tell("0123456789abcdef", "Another's?", "No.");
      await tell(begins, "Mine?", "Yes.");
      await until("its own answer", async () => (await panel.at("answer-text").allInnerTexts()).join() === "Yes.");
      await tell("0123456789abcdef", "Another's?", "No.");
      assert.deepEqual(await panel.at("answer-text").allInnerTexts(), ["Yes."]);
    },
  },
  {
    name: "when all are busy the question waits in line and is asked again by itself",
    async run(bench) {
      const browser = await bench.browser();
      const messages = exchange(1, "Why?", { phase: "error", code: 5, retry_after: 2, tokens: null, receipt: null });
      const panel = await scripted(browser, { messages, providers: two(BUSY) });
      const notice = panel.at("answer-notice");
      assert.match(await notice.innerText(), /^All 2 are busy\.\s+Not charged\. First free in about 2 s\./);
      await notice.getByRole("button", { name: "Wait in line" }).click();
      await until("it says when", async () => /Asked again in \d s\./.test(await notice.innerText()));
      await notice.getByRole("button", { name: "Do not wait" }).click();
      await notice.getByRole("button", { name: "Wait in line" }).click();
      await until("it is asked again", async () => (await panel.orders()).some((order) => order.do === "retry"));
      assert.deepEqual((await panel.orders()).filter((order) => order.do === "retry"), [retry()]);
    },
  },
  {
    name: "a stopped answer can go on, a bad receipt is told, odd counts are flagged, a changed key blocks",
    async run(bench) {
      const browser = await bench.browser();
      const stopped = await scripted(browser, { messages: exchange(1, "Why?", { phase: "stopped", text: "It is" }) });
      assert.match(await stopped.at("answer-cost").innerText(), /^Stopped · .*264 tokens · free/);
      await stopped.at("answer-continue").click();
      await until("it goes on", async () => (await stopped.orders()).some((order) => order.text === go_on().text));

      const bad = await scripted(browser, { messages: exchange(1, "Why?", { text: "So.", receipt: "bad" }) });
      assert.match(await bad.at("answer-notice").innerText(), /Fjord's receipt does not fit this answer\./);
      await bad.at("answer-notice").getByRole("button", { name: "Details" }).click();
      assert.equal(await bad.at("details-receipt").getAttribute("data-receipt"), "bad");

      // Counts that no tokenizer comes to are flagged, and are no failure of the answer.
      const odd = await scripted(browser, { messages: exchange(1, "Why?", { text: "So.", tokens: [38, 9_000], receipt: "implausible" }) });
      assert.match(await odd.at("answer-cost").innerText(), /9.000 tokens, which looks wrong/);
      assert.equal(await odd.at("answer-notice").count(), 0);
      await odd.at("answer-cost").click();
      assert.equal(await odd.at("details-receipt").getAttribute("data-receipt"), "implausible");
      assert.match(await odd.at("details-receipt").innerText(), /^Valid, but its counts look wrong/);

      const changed = provider("Fjord", { key_changed_from: id_of("old"), usable: false });
      const key = await scripted(browser, {
        messages: exchange(1, "Why?", { phase: "key_changed", tokens: null, receipt: null }), providers: [changed, provider("Kestrel")],
      });
      assert.match(await key.at("answer-notice").innerText(), /Fjord shows a key you have not seen before\.\s+Nothing sent or charged\./);
      await key.at("answer-notice").getByRole("button", { name: "Compare the keys" }).click();
      await key.at("key-changed-other").click();
      await until("the other is asked", async () => (await key.orders()).some((order) => order.do === "retry" && order.provider === id_of("kestrel")));
    },
  },
  {
    name: "no network, a wrong clock and a full store are told with a way on",
    async run(bench) {
      const browser = await bench.browser();
      const messages = exchange(1, "Why?", { text: "So." });
      const lost = await scripted(browser, { messages, network: { state: "lost", next_try_s: 8, nodes: [["/ip4/127.0.0.1/tcp/1/ws/p2p/16U", "no answer"]] } });
      assert.match(await lost.at("banner").innerText(), /No way to the network\. Not sent; draft kept; next try in 8 s\./);
      await lost.at("try-now").click();
      await until("it is tried", async () => (await lost.orders()).some((order) => order.do === "try_now"));

      const clock = await scripted(browser, { messages, network: { clock_off_s: -360 } });
      assert.match(await clock.at("banner").innerText(), /Your clock is 6 min behind\. Not sent; nothing charged\./);
      await clock.at("clock-fix").click();
      assert.match(await clock.at("toast").innerText(), /automatic date and time/);

      const full = await scripted(browser, { messages });
      await full.tell({ is: "refused", text: "Full: new answers are not kept." });
      await full.at("free-space").click();
      await full.at("history-search").waitFor();
      assert.equal(await full.at("toast").count(), 0);
    },
  },
  {
    name: "the context's meter shows from 70 % on and says when it is too much",
    async run(bench) {
      const browser = await bench.browser();
      const panel = await scripted(browser, { messages: exchange(1, "Why?", { text: "words ".repeat(15_000) }) });
      assert.equal(await panel.at("context").count(), 0, "68 %");
      await panel.at("composer-input").fill("more ".repeat(2_000));
      await until("it shows", async () => (await panel.at("context").count()) === 1);
      assert.equal((await panel.at("context").innerText()).trim(), "About 76 % of 32 k tokens");
      assert.equal(await panel.page.getByRole("meter").getAttribute("aria-valuenow"), "76");
      await panel.at("composer-input").fill("more ".repeat(10_000));
      await until("too much", async () => /106 % of 32 k tokens: it may not fit/.test(await panel.at("context").innerText()));
    },
  },
  {
    name: "without WebAssembly the panel says so and how to turn it on",
    async run(bench) {
      const browser = await bench.browser();
      const page = await browser.context.newPage();
      await page.addInitScript(() => Reflect.deleteProperty(globalThis, "WebAssembly"));
      await page.goto(`chrome-extension://${browser.id}/panel.html?view=panel`);
      const said = page.locator('[data-testid="not-started"]');
      await said.waitFor();
      assert.match(await said.innerText(), /switched off in this browser; nothing can be sealed\./);
      await said.getByText("How to turn on").click();
      assert.match(await said.innerText(), /about:config/);
    },
  },
];
