// By keyboard alone: ask, stop, switch, and keys of one's own.
import assert from "node:assert/strict";
import { until } from "../extension.mjs";
import { exchange, id_of, scripted } from "../scripted.mjs";

const page_is = (panel, address) => until(`the page ${address}`, async () => (await panel.at("app").getAttribute("data-page")) === address);

export const keyboard = [
  {
    name: "by keyboard alone a question is asked, stopped, edited and given to another",
    async run(bench) {
      const browser = await bench.browser();
      const panel = await scripted(browser, { messages: exchange(1, "Why?", { text: "So." }) });
      const { keyboard } = panel.page;
      const orders = (what) => until(what, async () => (await panel.orders()).filter((order) => order.do === what).at(-1));
      await until("the composer has the focus", () => panel.page.evaluate(() => document.activeElement?.id === "composer"));

      await keyboard.press("ArrowUp");
      await until("the question is back", async () => (await panel.at("composer-input").inputValue()) === "Why?");
      await keyboard.press("Escape");
      await keyboard.type("And then?");
      await keyboard.press("Enter");
      assert.equal((await orders("ask")).text, "And then?");
      const [question, answer] = exchange(2, "And then?", { phase: "streaming", text: "Then", tokens: null });
      for (const message of [question, answer]) await panel.tell({ is: "message", conversation: "c1", message });
      await panel.at("stop").waitFor();
      await keyboard.press("Escape");
      assert.equal((await orders("stop")).answer, "a2");

      await keyboard.press("Alt+m");
      await page_is(panel, "#/providers");
      await keyboard.press("j");
      await keyboard.press("j");
      await keyboard.press("Enter");
      assert.equal((await orders("choose")).provider, id_of("kestrel"));
      await keyboard.press("Alt+h");
      await page_is(panel, "#/history");
      await keyboard.press("Escape");
      await page_is(panel, "#/");
    },
  },
  {
    name: "keys can be changed, left out and put back; Enter and Esc cannot",
    async run(bench) {
      const browser = await bench.browser();
      const panel = await scripted(browser, { messages: exchange(1, "Why?", { text: "So." }) });
      const { keyboard } = panel.page;
      const row = (id) => panel.page.locator(`[data-testid="settings-key"][data-key="${id}"]`);
      const open = async () => {
        await panel.page.evaluate(() => (location.hash = "/settings"));
        await row("new").waitFor();
      };
      const kept = (wanted) => until(`kept: ${JSON.stringify(wanted)}`, async () => {
        const set = (await panel.orders()).filter((order) => order.do === "set").at(-1);
        return JSON.stringify(set?.settings.keys) === JSON.stringify(wanted);
      });

      await open();
      await row("history").click();
      await keyboard.press("Alt+n");
      await until("it says that they are taken", async () => (await panel.at("settings-keys-said").innerText()) === "Alt+N is taken: New chat.");
      await keyboard.press("Enter");
      await keyboard.press("Escape");
      await page_is(panel, "#/settings");

      await row("history").click();
      await keyboard.press("Alt+j");
      await kept([["history", "Alt+J"]]);
      assert.match(await row("history").innerText(), /Alt\s+J/);
      await keyboard.press("Alt+h");
      await page_is(panel, "#/settings");
      await keyboard.press("Alt+j");
      await page_is(panel, "#/history");

      await open();
      await panel.at("settings-single-keys").click();
      await panel.page.evaluate(() => document.activeElement.blur());
      await keyboard.press("?");
      await panel.page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      assert.equal(await panel.at("keys").count(), 0, "single keys are off");
      await panel.at("settings-single-keys").click();
      await panel.page.evaluate(() => document.activeElement.blur());
      await keyboard.press("?");
      await panel.at("keys").waitFor();
      assert.match(await panel.at("keys").innerText(), /Chats\s+Alt\s+J/);
      await keyboard.press("Escape");

      await open();
      await row("palette").click();
      await keyboard.press("Backspace");
      await kept([["history", "Alt+J"], ["palette", ""]]);
      await panel.at("settings-keys-reset").click();
      await kept(null);
      await keyboard.press("Control+k");
      await panel.at("palette").waitFor();
    },
  },
];
