// A conversation of a thousand messages.
import assert from "node:assert/strict";
import { long_chat } from "../chat.mjs";
import { until } from "../extension.mjs";
import { exchange, scripted } from "../scripted.mjs";

/** The most messages in the page, as ui.md says it. */
const MOST = 60;

export const long = [
  {
    name: "of a thousand messages sixty at most are in the page, and what is read stays where it is",
    async run(bench) {
      const browser = await bench.browser();
      const words = (n) => Array.from({ length: 3 + ((n * 37) % 90) }, (_, at) => `word${(n * at) % 97}`).join(" ");
      const messages = Array.from({ length: 500 }, (_, n) => exchange(n, `Question ${n}?`, { text: `Answer ${n}. ${words(n)}` })).flat();
      const panel = await scripted(browser, { messages });
      const count = () => panel.page.locator("[data-message-id]").count();
      const seen = () => panel.page.evaluate(first_seen);

      await until("the end is in view", async () => (await seen())?.id && (await panel.page.locator('[data-message-id="a499"]').isVisible()));
      const most = [await count()];
      // Up through all of it, a good screen at a time: no message is passed over.
      const read = new Set((await panel.page.evaluate(scroll_by, 0)).all);
      for (let turn = 0; turn < 2_000; turn += 1) {
        const { all, top } = await panel.page.evaluate(scroll_by, -460);
        all.forEach((id) => read.add(id));
        most.push(await count());
        if (top === 0) break;
      }
      assert.equal(read.size, 1_000, "every message was seen on the way");
      assert.ok(Math.max(...most) <= MOST, `${Math.max(...most)} messages in the page`);

      // What is read stays: a jump into the middle, then small steps, each moves the first visible message by itself.
      await panel.page.evaluate(jump_to, 0.5);
      await panel.page.evaluate(settled);
      for (let turn = 0; turn < 30; turn += 1) {
        const before = await seen();
        await panel.page.evaluate(scroll_by, -60);
        const after = await panel.page.evaluate(place_of, before.id);
        assert.ok(Math.abs(after - before.y - 60) <= 2, `${before.id} moved by ${after - before.y} px, not by 60`);
      }

      // "To the newest" leads back, and the next answer is followed.
      await panel.at("to-end").click();
      await until("the end", () => panel.page.locator('[data-message-id="a499"]').isVisible());
      assert.ok((await count()) <= MOST);

      // What a search has found far above opens there by keyboard alone, without a moving picture, and has the focus, which marks it.
      await panel.page.evaluate(() => (location.hash = "/history"));
      await panel.at("history-search").fill("word");
      const hit = { conversation: "c1", message: "a120", count: 3, before: "some ", found: "word", after: " more" };
      await panel.tell({ is: "found", text: "word", hits: [hit], done: true });
      await panel.at("history-hit").waitFor();
      await panel.page.keyboard.press("Tab");
      await panel.page.keyboard.press("Enter");
      const found = () => panel.page.evaluate(focused);
      await until("the message is there", async () => (await found())?.id === "a120");
      await panel.page.evaluate(settled);
      const { id, from_top, marked } = await found();
      assert.ok(id === "a120" && marked && from_top >= 0 && from_top < 60, `${id} at ${from_top} px, marked: ${marked}`);
      assert.ok((await count()) <= MOST);
      await panel.at("to-end").click();
      await until("the end again", () => panel.page.locator('[data-message-id="a499"]').isVisible());
      return `${Math.max(...most)} at most`;
    },
  },
  {
    name: "an answer of 100 kB streams into a conversation of a thousand messages, word for word",
    seconds: 300,
    async run() {
      const { text } = await long_chat({ openings: 0 });
      assert.ok(text >= 100_000, `${text} bytes`);
      return `${text} bytes`;
    },
  },
];

/** Runs in the page: the message that has the focus, how far it is below the top, and whether it looks like no other. */
function focused() {
  const node = document.activeElement;
  if (!node?.dataset.messageId) return undefined;
  const area = document.querySelector('[data-testid="transcript"]').getBoundingClientRect();
  const others = [...document.querySelectorAll("[data-message-id]")].filter((other) => other !== node);
  const look = (of) => getComputedStyle(of).outlineStyle + getComputedStyle(of).backgroundColor;
  return { id: node.dataset.messageId, from_top: node.getBoundingClientRect().top - area.top, marked: others.every((other) => look(other) !== look(node)) };
}

/** Runs in the page: the first message that can be seen, and where. */
function first_seen() {
  const area = document.querySelector('[data-testid="transcript"]').getBoundingClientRect();
  for (const node of document.querySelectorAll("[data-message-id]")) {
    const { top, bottom } = node.getBoundingClientRect();
    if (bottom > area.top) return { id: node.dataset.messageId, y: top };
  }
  return undefined;
}

function place_of(id) {
  return document.querySelector(`[data-message-id="${id}"]`).getBoundingClientRect().top;
}

/** Runs in the page: scrolls, and gives which messages are in the page once it is drawn. */
async function scroll_by(by) {
  const area = document.querySelector('[data-testid="transcript"]');
  area.scrollTop += by;
  for (let frame = 0; frame < 3; frame += 1) await new Promise(requestAnimationFrame);
  const all = [...document.querySelectorAll("[data-message-id]")].map((node) => node.dataset.messageId);
  return { all, top: area.scrollTop };
}

function jump_to(part) {
  const area = document.querySelector('[data-testid="transcript"]');
  area.scrollTop = area.scrollHeight * part;
}

async function settled() {
  for (let frame = 0; frame < 10; frame += 1) await new Promise(requestAnimationFrame);
}
