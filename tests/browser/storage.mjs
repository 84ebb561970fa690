// Plays the core's storage contract, and what sealing claims, on the sealed IndexedDB of a real Chromium.
// Argument: the folder of the extension's wasm, built with the feature `conformance`.
import { chromium } from "playwright-core";
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import "./ending.mjs";

const folder = process.argv[2];
const kinds = { ".js": "text/javascript", ".wasm": "application/wasm" };

const server = createServer(async (request, response) => {
  const name = basename(request.url);
  if (name === "") return response.setHeader("content-type", "text/html").end("<!doctype html><title>Storage</title>");
  try {
    const file = await readFile(join(folder, name));
    response.setHeader("content-type", kinds[extname(name)] ?? "text/plain").end(file);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/lib/chromium/chromium", args });
let failures;
try {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  failures = await page.evaluate(async () => {
    const app = await import("./app.js");
    await app.default({ module_or_path: "./app_bg.wasm" });
    return app.storage_conformance();
  });
} catch (error) {
  failures = [error.message];
}
await browser.close();
server.close();

console.log("1..1");
for (const failure of failures) console.log(`# ${failure}`);
console.log(`${failures.length === 0 ? "ok" : "not ok"} 1 - the sealed database keeps the storage contract`);
process.exit(failures.length === 0 ? 0 : 1);
