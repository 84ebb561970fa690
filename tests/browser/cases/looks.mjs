// Every page at every width in both schemes: nothing clipped, nothing that a screen reader cannot use.
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { until } from "../extension.mjs";

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const WIDTHS = [[320, 640], [360, 640], [400, 600], [720, 800], [1280, 800]];
const PAGES = ["/", "/history", "/providers", "/settings", "/network"];
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
];

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
