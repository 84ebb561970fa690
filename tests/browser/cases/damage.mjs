// A store that is damaged, full or emptied: what happened is told, only what is damaged begins anew, and no chat is lost
// in silence.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { remove, temporary } from "../ending.mjs";
import { until } from "../extension.mjs";
import { Mock } from "../market.mjs";

/** The tables, and what is said when every row of one is damaged. */
const TABLES = [
  ["providers", /known providers are learned anew/],
  ["health", /some of what was measured of providers is forgotten/],
  ["ratings", /some of your stars are forgotten/],
  ["receipts", /some receipts are lost/],
  ["quota", /today's free questions are counted anew/],
  ["conversations", /2 chats are made anew from the messages/],
];

export const damage = [
  {
    name: "damaged rows of each table are told, only they begin anew, and every chat is still there",
    async run(bench) {
      const { market, port } = await bench.joined();
      const chats = await two_chats(market, port);
      for (const [table, words] of TABLES) {
        assert.ok((await port.page.evaluate(bend, { table })) > 0, `${table} has rows`);
        await begin_again(port);
        const notice = await until(`what is said of ${table}`, async () => (await notices(port)).at(-1));
        assert.match(notice, /^Some of what this browser kept was damaged: .* All else is fine\.$/);
        assert.match(notice, words);
        await all_there(port, chats);
        // Told once.
        await begin_again(port);
        assert.deepEqual(await notices(port), []);
        await all_there(port, chats);
      }
      assert.equal((await port.answer("And after all that?")).phase, "complete");
    },
  },
  {
    name: "a damaged message says so in its place, and the others of its chat are whole",
    async run(bench) {
      const { market, browser, port } = await bench.joined();
      const [chat] = await two_chats(market, port);
      await port.page.evaluate(bend, { table: "messages", most: 1 });
      await begin_again(port);
      const panel = await browser.panel("tab");
      let damaged = 0;
      for (const row of await port.heard("conversations")) {
        await panel.go("/history");
        await panel.page.locator(`[data-testid="history-row"][data-conversation-id="${row.id}"] [data-testid="history-open"]`).click();
        await panel.at("composer-input").waitFor();
        await until("both messages", async () => (await panel.page.locator("[data-message-id]").count()) === 2);
        const notice = panel.page.locator('[data-testid="answer-notice"]', { hasText: "This message is damaged." });
        damaged += await notice.count();
      }
      assert.equal(damaged, 1, "one message and no other");
      assert.equal((await port.heard("conversations")).length, 2);
      // Its chat goes on.
      const next = await port.answer("Goes on?", { conversation: chat.conversation });
      assert.equal(next.phase, "complete");
    },
  },
  {
    name: "damaged settings are as new and told, and the chats are not touched",
    async run(bench) {
      const { market, port } = await bench.joined();
      const chats = await two_chats(market, port);
      await port.order({ do: "set", settings: { ...(await port.heard("settings")), theme: "dark" } });
      await until("dark", async () => (await port.heard("settings")).theme === "dark");
      await port.page.evaluate(bend, { table: "settings" });
      await begin_again(port);
      await until("it is said", async () => /settings are as new where they were damaged/.test((await notices(port)).at(-1)));
      assert.equal((await port.heard("settings")).theme, "system");
      await all_there(port, chats);
      await port.join(market.invite);
      await port.usable(3);
      assert.equal((await port.answer("Joined again?")).phase, "complete");
    },
  },
  {
    name: "without its sealing keys the store cannot be read by anyone: it says so and begins anew",
    async run(bench) {
      const { market, browser, port } = await bench.joined();
      await two_chats(market, port);
      await port.page.evaluate(clear_store, "keys");
      await begin_again(port);
      const panel = await browser.panel();
      await until("it is said", async () => /The key that sealed what this browser kept is gone/.test((await notices(port)).join(" ")));
      assert.deepEqual(await port.heard("conversations"), []);
      await panel.at("invite-input").waitFor();
      await port.join(market.invite);
      await port.usable(3);
      const message = await port.answer("A new beginning?");
      await begin_again(port);
      await all_there(port, [message]);
    },
  },
  {
    name: "a full store is told, nothing leaves uncounted, and what it did not take is kept once there is room",
    async run(bench) {
      const { market, browser, port } = await bench.joined();
      const chats = await two_chats(market, port);
      const origin = `chrome-extension://${browser.id}`;
      const cdp = await browser.context.newCDPSession(port.page);
      const panel = await browser.panel();
      await cdp.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 1 });
      // The browser asks for the quota anew after half a minute at most.
      let names = 0;
      await until("it is told", async () => {
        names += 1;
        await port.order({ do: "rename", conversation: chats[0].conversation, title: `Named ${names} times` });
        await new Promise((resolve) => setTimeout(resolve, 500));
        return (await notices(port)).includes("Full: new answers are not kept.");
      }, 60);
      await panel.at("free-space").waitFor();
      // What cannot be counted is not asked, and what was typed is not lost.
      const question = "Is there room?";
      await panel.at("toast-close").click();
      await panel.at("composer-input").fill(question);
      await panel.at("send").click();
      await until("it is refused", async () => (await panel.at("toast").innerText()).startsWith("Not sent: there is no room to count the question."));
      await panel.at("free-space").waitFor();
      assert.equal(await panel.at("composer-input").inputValue(), question);
      assert.equal((await port.heard("conversations")).length, 2, "and no chat began");
      assert.equal((await notices(port)).filter((text) => text.startsWith("Full")).length, 1, "once, not with every row");
      await cdp.send("Storage.overrideQuotaForOrigin", { origin });
      await until("it is told too", async () => (await notices(port)).includes("Everything is kept again."));
      const message = await port.answer(question, { provider: market.named("gamma").id });
      assert.equal(message.phase, "complete");
      await begin_again(port);
      await all_there(port, [...chats, message]);
      assert.equal((await port.heard("conversations")).find(({ id }) => id === chats[0].conversation).title, `Named ${names} times`);
      assert.equal((await port.message(message.id)).text.trim(), Mock.text(question, 1000).trim(), "word for word");
    },
  },
  {
    name: "rows that the browser cannot read stop nothing: what can be is made anew, and it is told",
    async run(bench) {
      const profile = await temporary("profile");
      try {
        let browser = await bench.browser({ profile });
        const id_of = (n) => `m${n}`.padEnd(60, "x");
        const message = (id) => ({ id, role: "user", text: `Word ${id}`, phase: "", asked_ms: Number.parseInt(id.slice(1), 10) });
        const chat = (id, count) => ({ id, title: `Chat ${id}`, messages: Array.from({ length: count }, (_, n) => message(id_of(n))) });
        let port = await browser.port();
        // The row of the long chat, with the ids of its messages, is so large that the browser keeps it in a file of its own.
        await port.order({ conversations: [chat("long", 8_000), chat("short", 2)], do: "import" });
        await port.order({ do: "export", conversation: "short" });
        await until("they are kept", () => port.heard("exported"));
        const id = browser.id;
        await browser.close();
        const blobs = join(profile, `Default/IndexedDB/chrome-extension_${id}_0.indexeddb.blob`);
        await remove(blobs);
        browser = await bench.browser({ profile });
        port = await browser.port();
        const titles = async () => (await port.heard("conversations")).map(({ title }) => title).sort();
        assert.deepEqual(await titles(), ["Chat short", `Word ${id_of(0)}`.slice(0, 48) + "…"]);
        assert.match((await notices(port)).join(), /^Some of what this browser kept was damaged: 1 chat is made anew from the messages\. All else is fine\.$/);
        await port.order({ do: "open", conversation: "long" });
        await until("its last message", () => port.message(id_of(7_999)));
      } finally {
        await remove(profile);
      }
    },
  },
  {
    name: "a store that cannot be opened is told, and everything in it can be deleted to begin anew",
    async run(bench) {
      const { market, browser, port } = await bench.joined();
      await two_chats(market, port);
      await port.page.evaluate(raise_version);
      const panel = await browser.panel();
      await until("it is told", async () => (await panel.at("toast").innerText()).startsWith("PrivacyAI cannot start: the browser's store failed"));
      await panel.at("stuck-delete").click();
      assert.match(await panel.at("toast").innerText(), /^Delete every chat, setting and key\? Nothing can bring them back\./);
      await panel.at("stuck-sure").click();
      await panel.at("invite-input").waitFor();
      await port.connect();
      assert.deepEqual(await port.heard("conversations"), []);
      await port.join(market.invite);
      await port.usable(3);
      const message = await port.answer("A new beginning?");
      await begin_again(port);
      await all_there(port, [message]);
    },
  },
  {
    name: "what was deleted while the store was full does not come back, one chat or everything",
    async run(bench) {
      const { market, browser, port } = await bench.joined();
      const [first, second] = await two_chats(market, port);
      const origin = `chrome-extension://${browser.id}`;
      const cdp = await browser.context.newCDPSession(port.page);
      const fill = async (conversation) => {
        await cdp.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 1 });
        let names = 0;
        await until("it is full", async () => {
          names += 1;
          await port.order({ do: "rename", conversation, title: `Named ${names} times` });
          await new Promise((resolve) => setTimeout(resolve, 500));
          return (await notices(port)).at(-1) === "Full: new answers are not kept.";
        }, 60);
      };
      const empty = async () => {
        await cdp.send("Storage.overrideQuotaForOrigin", { origin });
        await until("it is kept again", async () => (await notices(port)).at(-1) === "Everything is kept again.", 60);
      };
      await fill(first.conversation);
      await port.order({ do: "delete", conversation: first.conversation });
      await empty();
      await begin_again(port);
      assert.deepEqual((await port.heard("conversations")).map(({ id }) => id), [second.conversation]);

      await fill(second.conversation);
      await port.order({ do: "delete_all" });
      await until("none is left", async () => (await port.heard("conversations")).length === 0);
      await cdp.send("Storage.overrideQuotaForOrigin", { origin });
      // What waited was tried again every five seconds.
      await new Promise((resolve) => setTimeout(resolve, 6_000));
      await begin_again(port);
      assert.deepEqual(await port.heard("conversations"), []);
      assert.doesNotMatch((await notices(port)).join(), /damaged/, "all is sealed by the keys that are kept");
    },
  },
  {
    name: "a store emptied while it runs is told; what is open here is kept, and what is gone is named",
    async run(bench) {
      const { market, browser, port } = await bench.joined();
      const [first] = await two_chats(market, port);
      // Only the chat that was open last is brought back into memory.
      await all_there(port, [first]);
      await begin_again(port);
      await port.usable(3);
      const running = await port.ask("Who outlives it?", { provider: market.named("gamma").id });
      await port.grown(running, 100);
      const cdp = await browser.context.newCDPSession(port.page);
      await cdp.send("Storage.clearDataForOrigin", { origin: `chrome-extension://${browser.id}`, storageTypes: "indexeddb" });
      const message = await port.ended(running);
      assert.equal(message.phase, "complete");
      const said = await until("it is told", async () => (await notices(port)).find((text) => text.startsWith("The browser's store was emptied")));
      assert.match(said, /2 chats that were open here are kept, with all receipts and settings\. 1 chat is gone: “The second question\?”\.$/);
      await begin_again(port);
      assert.equal((await port.heard("conversations")).length, 2);
      await all_there(port, [first, message]);
      await port.usable(3);
      assert.equal((await port.answer("And after?")).phase, "complete", "the network is kept too");
      // Of both chats from before, of the answer that ran meanwhile, and of the one after it.
      const panel = await browser.panel("tab");
      await panel.go("/usage");
      const [download] = await Promise.all([panel.page.waitForEvent("download"), panel.at("export-receipts").click()]);
      const { receipts } = JSON.parse(await readFile(await download.path(), "utf8"));
      assert.equal(receipts.length, 4, "all receipts are kept");
    },
  },
];

/** Two chats, answered and rated; their answers. */
async function two_chats(market, port) {
  const answers = [];
  for (const [text, handle] of [["The first question?", "alpha"], ["The second question?", "beta"]]) {
    const answer = await port.answer(text, { provider: market.named(handle).id });
    assert.equal(answer.phase, "complete");
    await port.order({ do: "rate", conversation: answer.conversation, answer: answer.id, stars: 4, reasons: 0 });
    answers.push(answer);
  }
  await until("the stars are kept", async () => (await port.message(answers[1].id)).stars === 4);
  return answers;
}

/** Opens the chats of these answers, whose texts must be as they were. */
async function all_there(port, answers) {
  for (const { id, conversation, text } of answers) {
    await port.page.evaluate((id) => heard.messages.delete(id), id);
    await port.order({ do: "open", conversation });
    assert.equal((await until("the chat", () => port.message(id))).text, text);
  }
}

/** Ends the background and begins it again from what is stored. */
async function begin_again(port) {
  await port.page.evaluate(() => {
    heard.notices.length = 0;
    return chrome.offscreen.closeDocument();
  });
  await until("the port broke", () => port.heard("broken"));
  await port.connect();
}

const notices = (port) => port.heard("notices");

/** Runs in the page: changes a byte of the rows of a table, at most so many. */
async function bend({ table, most = Infinity }) {
  const done = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const database = await done(indexedDB.open("privacyai"));
  const store = database.transaction(table, "readwrite").objectStore(table);
  const names = (await done(store.getAllKeys())).slice(0, most);
  for (const name of names) {
    const row = await done(store.get(name));
    row[row.length - 1] ^= 1;
    await done(store.put(row, name));
  }
  database.close();
  return names.length;
}

/** Runs in the page, once the background has let go of its store. */
async function raise_version() {
  await chrome.offscreen.closeDocument();
  const database = await new Promise((resolve, reject) => {
    const request = indexedDB.open("privacyai", 99);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  database.close();
}

/** Runs in the page. */
async function clear_store(table) {
  const database = await new Promise((resolve) => {
    const request = indexedDB.open("privacyai");
    request.onsuccess = () => resolve(request.result);
  });
  const transaction = database.transaction(table, "readwrite");
  transaction.objectStore(table).clear();
  await new Promise((resolve) => (transaction.oncomplete = resolve));
  database.close();
}
