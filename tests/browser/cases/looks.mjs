// Every page at every width in both schemes: nothing clipped, nothing that a screen reader cannot use.
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { until } from "../extension.mjs";
import { exchange, provider, scripted } from "../scripted.mjs";

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const WIDTHS = [[320, 640], [360, 640], [400, 600], [420, 640], [720, 800], [1280, 800]];
const PAGES = ["/", "/history", "/providers", "/usage", "/settings", "/network"];
const SCHEMES = ["light", "dark"];

export const looks = [
  {
    name: "axe finds nothing serious on any page, light and dark",
    async run(bench) {
      const panel = await with_an_answer(bench);
      const found = [];
      for (const scheme of SCHEMES) {
        await panel.page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
        for (const address of PAGES) {
          await show(panel, address);
          found.push(...(await serious(panel.page)).map((one) => `${address} ${scheme}: ${one}`));
        }
      }
      assert.deepEqual(found, []);
      return `${PAGES.length * SCHEMES.length} pages`;
    },
  },
  {
    name: "axe finds nothing serious on the first screen",
    async run(bench) {
      const browser = await bench.browser();
      const panel = await browser.panel();
      await panel.at("invite-input").waitFor();
      const found = [];
      for (const scheme of SCHEMES) {
        await panel.page.emulateMedia({ colorScheme: scheme });
        found.push(...(await serious(panel.page)).map((one) => `${scheme}: ${one}`));
      }
      assert.deepEqual(found, []);
    },
  },
  {
    name: "nothing is clipped from 320 to 1,280 pixels, light and dark",
    async run(bench) {
      const panel = await with_an_answer(bench);
      const folder = new URL("../../../out/looks/", import.meta.url).pathname;
      await mkdir(folder, { recursive: true });
      const clipped = [];
      for (const scheme of SCHEMES) {
        await panel.page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
        for (const [width, height] of WIDTHS) {
          await panel.page.setViewportSize({ width, height });
          for (const address of PAGES) {
            await show(panel, address);
            const page = address === "/" ? "chat" : address.slice(1);
            await panel.page.screenshot({ path: `${folder}${page}-${width}-${scheme}.png` });
            const wide = await panel.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
            if (wide > 0) clipped.push(`${address} at ${width}: ${wide} px too wide`);
          }
        }
      }
      assert.deepEqual(clipped, []);
      return `${SCHEMES.length * WIDTHS.length * PAGES.length} pictures in out/looks`;
    },
  },
  {
    name: "names of forty letters, Arabic, German and figures of seven digits fit at every width, and in forced colours",
    async run(bench) {
      const browser = await bench.browser();
      const folder = new URL("../../../out/looks/", import.meta.url).pathname;
      await mkdir(folder, { recursive: true });
      const long = "Rechenzentrumsgesellschaft Nordfriesland";
      assert.equal(long.length, 40);
      const model = {
        id: "mixtral-8x22b-instruct-v0.1-q4_k_m-imatrix", context: 1_048_576, detail: "Genau · candle · 4-bit", tokens_per_s: 1_234, price: ["1234567", "7654321"],
      };
      const named = { provider_name: long, model: model.id, provider: provider(long).id, tokens: [1_234_567, 7_654_321], total_ms: 9_000_000 };
      const panel = await scripted(browser, {
        settings: { weights: [100, 0, 5, 10], allowed: [provider(long).id, "y".repeat(52)], blocked: ["z".repeat(52)] },
        providers: [provider(long, { models: [model, { ...model, id: "klein" }], response_ms: 9_999, max_concurrent: 1_234_567 }), provider("Kestrel", { key_changed_from: "x".repeat(52) })],
        messages: [
          ...exchange(1, "ما هي أفضل طريقة لترتيب الطلبات حسب العميل؟", { ...named, text: "استخدم `JOIN LATERAL` لكل عميل:\n\n```sql\nSELECT c.id, o.id AS order_id, o.placed_at FROM customers c LEFT JOIN LATERAL (SELECT 1) o ON true;\n```\n\n- أولا\n- ثانيا\n\n| أ | ب |\n|---|---|\n| 1 | 2 |" }),
          ...exchange(2, "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft?", { ...named, phase: "truncated", text: `https://example.org/${"lang".repeat(60)}` }),
        ],
      });
      // A key that changed is nobody whom automatic asks.
      assert.equal(await panel.at("provider-chip").getAttribute("data-provider-id"), named.provider);
      const clipped = [];
      for (const forced of ["none", "active"]) {
        await panel.page.emulateMedia({ colorScheme: "dark", reducedMotion: "reduce", forcedColors: forced });
        for (const [width, height] of WIDTHS) {
          await panel.page.setViewportSize({ width, height });
          for (const address of ["/", "/providers", "/settings", "/details/a2"]) {
            await show({ page: panel.page, go: (to) => panel.page.evaluate((to) => (location.hash = to), to) }, address);
            const page = address === "/" ? "chat" : address.split("/")[1];
            await panel.page.screenshot({ path: `${folder}${page}-${width}-${forced === "active" ? "forced" : "long"}.png` });
            for (const one of await panel.page.evaluate(too_wide)) clipped.push(`${address} at ${width}: ${one}`);
          }
        }
      }
      assert.deepEqual(clipped, []);
    },
  },
];

/** Runs in the page: what sticks out to a side of the page, or out of its button. Code, tables and what is cut with an ellipsis may. */
function too_wide() {
  const found = [];
  for (const node of document.querySelectorAll("#app *")) {
    const box = node.getBoundingClientRect();
    if (box.width === 0 || node.closest("svg, .code, .table, .truncate, .sr-only")) continue;
    if (box.right > innerWidth + 1 || box.left < -1) found.push(`${node.tagName}.${node.className} ends at ${Math.round(box.right)}`);
    else if (node.tagName === "BUTTON" && node.scrollWidth > node.clientWidth + 1) found.push(`${node.innerText} is cut`);
  }
  return found.slice(0, 4);
}

async function with_an_answer(bench) {
  const { browser, port } = await bench.joined();
  await port.answer("Show me `code` and words");
  const panel = await browser.panel("tab");
  await panel.at("answer").first().waitFor();
  return panel;
}

async function show(panel, address) {
  await panel.go(address);
  await until(`the page ${address}`, async () => (await panel.page.evaluate(() => location.hash)) === `#${address}`);
  // Two frames: the view is drawn.
  await panel.page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
}

async function serious(page) {
  // The page's own policy refuses foreign scripts, so it comes as text through the driver.
  const present = await page.evaluate(() => Boolean(globalThis.axe));
  if (!present) await page.evaluate(await (await import("node:fs/promises")).readFile(axe, "utf8"));
  const { violations } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"] }));
  return violations
    .filter(({ impact }) => ["serious", "critical"].includes(impact))
    .flatMap(({ id, nodes }) => nodes.slice(0, 3).map(({ html }) => `${id}: ${html.slice(0, 160)}`));
}
