// What a prompt and its answer leave behind on the relay, in logs and in files: nothing.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { remove, temporary } from "../ending.mjs";
import { Mock } from "../market.mjs";
import { Tap, refusal } from "../tap.mjs";

const GRAM = 8;

export const leaks = [
  {
    name: "a planted secret and its answer occur nowhere on the relay, in no log and in no file",
    async run(bench) {
      const profile = await temporary("leak");
      try {
        const market = await bench.own_market({ providers: [{ handle: "one", words: 50 }, { handle: "two", words: 50 }] });
        const tap = await Tap.open(market);
        bench.opened.push(tap);
        const { browser, port } = await bench.joined({ market, providers: 2, profile });
        // Random, so that no 8 of its letters occur by chance.
        const secret = randomBytes(24).toString("hex");
        const question = `My secret is ${secret}, keep it`;
        const grams = grams_of(secret);
        for (const worker of market.workers) {
          const message = await port.answer(`${question}, ${worker.handle}`, { provider: worker.id });
          assert.equal(message.phase, "complete");
          const text = Mock.text(`${question}, ${worker.handle}`, 50);
          assert.equal(message.text.trim(), text.trim());
          // Two neighbouring words, as the answer has them: six digits, a space, six digits.
          for (const part of text.split(" é🌍 ")) if (part.length >= 13) grams.push(...grams_of(part.slice(0, 13)));
        }
        const logs = browser.messages.join("\n");
        const told = tap.messages();
        await browser.close();
        await Promise.all(market.workers.map((worker) => worker.stop()));

        const wrong = told.filter(({ topic }) => /\/(requests|responses)$/.test(topic))
          .map(({ topic, payload }) => refusal(topic, payload)).filter(Boolean);
        assert.deepEqual(wrong, [], "every payload is an envelope of an allowed size");
        const count = (end) => told.filter(({ topic }) => topic.endsWith(end)).length;
        assert.ok(count("/requests") >= 2 && count("/responses") >= 4, "the tap heard the conversations");

        const found = [];
        const look = (where, bytes) => {
          for (const gram of new Set(grams)) if (has(bytes, gram)) found.push(`${gram} in ${where}`);
        };
        for (const { topic, bytes } of told) look(`a message on ${topic}`, bytes);
        look("the browser's console", Buffer.from(logs));
        const files = [...(await files_of(market.folder)), ...(await files_of(profile))];
        for (const file of files) look(file, await readFile(file));
        assert.deepEqual(found, []);
        return `${told.length} messages, ${files.length} files, ${new Set(grams).size} grams`;
      } finally {
        await remove(profile);
      }
    },
  },
];

function grams_of(text) {
  return Array.from({ length: text.length - GRAM + 1 }, (_, at) => text.slice(at, at + GRAM));
}

/** As UTF-8 and as UTF-16, which a browser's databases hold. */
function has(bytes, text) {
  return bytes.includes(text, 0, "utf8") || bytes.includes(text, 0, "utf16le");
}

async function files_of(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}
