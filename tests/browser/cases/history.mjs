// Chats that are kept: at the top, as files, and back from a file in another browser.
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { until } from "../extension.mjs";
import { remove, temporary } from "../ending.mjs";

const titles = (panel) => panel.page.locator('[data-testid="history-open"] > span:first-child').allInnerTexts();
const row = (panel, title) => panel.page.locator('[data-testid="history-row"]').filter({ hasText: title });

async function saved(panel, press) {
  const [download] = await Promise.all([panel.page.waitForEvent("download"), press()]);
  return { name: download.suggestedFilename(), text: await readFile(await download.path(), "utf8") };
}

export const history = [
  {
    name: "chats are pinned, saved as Markdown and JSON, and taken in by another browser once",
    async run(bench) {
      const { market, browser, port } = await bench.joined();
      const question = "Which chat is kept?";
      const { id, provider } = { id: await port.ask(question), provider: market.named("beta") };
      await port.ended(id);
      await port.answer("A later one?", { provider: provider.id });
      const panel = await browser.panel("tab");
      await panel.go("/history");
      await until("both", async () => (await titles(panel)).length === 2);
      assert.equal((await titles(panel))[0], "A later one?");
      await row(panel, question).locator('[data-testid="history-pin"]').click();
      await until("it is at the top", async () => (await titles(panel))[0] === question);

      const press = async (kind) => {
        await row(panel, question).locator('[data-testid="history-export"]').click();
        return saved(panel, () => panel.at(`export-${kind}`).click());
      };
      const markdown = await press("markdown");
      assert.equal(markdown.name, "Which-chat-is-kept.md");
      const { text } = await port.message(id);
      assert.match(markdown.text, /^# Which chat is kept\?\n\n## You <!--privacyai-->\n\nWhich chat is kept\?\n\n## \w+, known:\d+ <!--privacyai-->\n\n/);
      assert.ok(markdown.text.includes(text));
      const json = await press("json");
      assert.equal(json.name, "Which-chat-is-kept.json");
      const chat = JSON.parse(json.text);
      assert.equal(chat.settings, undefined, "one chat says nothing of the settings");
      assert.deepEqual(chat.conversations.map(({ title, messages }) => [title, messages.length]), [[question, 2]]);

      const folder = await temporary("import");
      try {
        const { browser: other } = await bench.joined();
        const empty = await other.panel("tab");
        await empty.go("/history");
        const take = async (content, said, name = "chat.json") => {
          await writeFile(join(folder, name), content);
          await empty.at("import-file").setInputFiles(join(folder, name));
          await until(said, async () => (await empty.at("toast").innerText()).trim() === said);
        };
        await take("{}", "This is no file that PrivacyAI exported. Nothing was taken.");
        await take("# A title\n\nAnd some words.\n", "This is no file that PrivacyAI exported. Nothing was taken.", "chat.md");
        assert.deepEqual(await titles(empty), []);
        await take(json.text, "1 chat taken.");
        await until("it is listed", async () => (await titles(empty))[0] === question);
        await take(json.text, "0 chats taken. 1 were here already and stay as they are.");
        const broken = { ...chat, conversations: [{ ...chat.conversations[0], id: "../x" }] };
        await take(JSON.stringify(broken), "0 chats taken. 1 could not be read.");
        assert.equal(await row(empty, question).locator('[data-testid="history-pin"]').getAttribute("aria-pressed"), "true", "still at the top");
        const reads = () => until("it reads as before", async () => {
          const shown = await empty.at("answer-text").last().innerText();
          return shown.trim() === text.trim();
        });
        await empty.page.locator('[data-testid="history-open"]').click();
        await reads();
        // What nobody here has checked is not claimed.
        await empty.at("answer-cost").click();
        assert.equal(await empty.at("details-receipt").getAttribute("data-receipt"), "none");
        // Markdown is a new chat each time.
        await empty.go("/history");
        await take(markdown.text, "1 chat taken.", "chat.md");
        await until("both", async () => (await titles(empty)).length === 2);
        await empty.page.locator('[data-testid="history-open"]').first().click();
        await reads();
        assert.match(await empty.at("answer").last().innerText(), new RegExp(`^${/^## (\w+),/m.exec(markdown.text)[1]}\n`));
      } finally {
        await remove(folder);
      }
    },
  },
  {
    name: "chats of many megabytes are taken in and saved whole, and what is too large is told with them",
    async run(bench) {
      const browser = await bench.browser();
      const panel = await browser.panel("tab");
      const message = (id, role, text) => ({ id, role, text, phase: role === "user" ? "" : "complete", asked_ms: 7 });
      const chat = (id, ...messages) => ({ id, title: `Chat ${id}`, messages });
      const many = Array.from({ length: 1000 }, (_, n) => message(`m${n}`, n % 2 ? "assistant" : "user", `${n} "é" `.repeat(150)));
      const long = message("long", "assistant", "\"\\é\n".repeat(1_300_000));
      const kept = [chat("a", ...many), chat("b", message("q", "user", "?"), long), chat("c", message("q", "user", "?"))];
      const too_large = chat("d", message("q", "user", "x".repeat(24 * 1024 * 1024)));
      const folder = await temporary("large");
      try {
        const file = join(folder, "chats.json");
        await writeFile(file, JSON.stringify({ format: "privacyai-export", version: 1, conversations: [kept[0], too_large, ...kept.slice(1)] }));
        await panel.go("/history");
        await panel.at("import-file").setInputFiles(file);
        await until("all is told at once", async () => (await panel.at("toast").innerText()).trim() === "3 chats taken. 1 too large to be taken.", 60);
        await panel.go("/settings");
        const { text } = await saved(panel, () => panel.at("settings-export").click());
        const words = ({ id, messages }) => [id, messages.map(({ id, role, text }) => [id, role, text])];
        assert.deepEqual(JSON.parse(text).conversations.map(words), kept.map(words));
        return `${(text.length / 1e6).toFixed(0)} million letters`;
      } finally {
        await remove(folder);
      }
    },
  },
  {
    name: "the words of all chats are searched, also of those that are not in memory, and shown where they stand",
    async run(bench) {
      const { market, browser, port } = await bench.joined();
      const { text, id } = await port.answer("What about the Moon?", { provider: market.named("alpha").id });
      await port.answer("And the sun?", { provider: market.named("beta").id });
      await port.answer("Which MOON is meant?", { provider: market.named("beta").id });
      // After a new beginning only the chat that was open last is in memory.
      await port.page.evaluate(() => chrome.offscreen.closeDocument());
      await until("the port broke", () => port.heard("broken"));
      await port.connect();
      const panel = await browser.panel("tab");
      await panel.go("/history");
      await until("all", async () => (await titles(panel)).length === 3);
      await panel.at("history-search").fill("moon");
      const hits = () => panel.at("history-hit").allInnerTexts();
      await until("both", async () => (await hits()).length === 2);
      assert.deepEqual(await titles(panel), ["Which MOON is meant?", "What about the Moon?"]);
      assert.deepEqual(await hits(), ["Which MOON is meant?", "What about the Moon?"]);
      assert.deepEqual(await panel.page.locator('[data-testid="history-hit"] mark').allInnerTexts(), ["MOON", "Moon"]);

      // Words of the answer, which no title has.
      const word = text.trim().split(/\s+/).at(-1);
      await panel.at("history-search").fill(word);
      await until("the chat", async () => (await titles(panel)).join() === "What about the Moon?" && (await hits()).length === 1);
      assert.equal(await panel.page.locator('[data-testid="history-hit"] mark').innerText(), word);
      await panel.at("history-search").fill("nowhere to be found");
      await panel.page.getByText("No title and no words match.").waitFor();
      await panel.at("history-search").fill("");
      await until("all again", async () => (await titles(panel)).length === 3);
      assert.deepEqual(await hits(), []);

      // What was found opens where it stands, in a chat that was not in memory.
      await panel.at("history-search").fill(word);
      await panel.at("history-hit").click();
      await until("the answer has the focus", () => panel.page.evaluate((id) => document.activeElement.dataset.messageId === id, id));
    },
  },
];
