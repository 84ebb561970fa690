// The demo: starts two providers, joins by the invite that `worker invite` prints, asks both, prints their answers as
// they stream and leaves screenshots. Its first argument is JSON: {providers, questions, screenshots, report, headed}.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Browser, LIVE, until } from "./extension.mjs";
import { Market } from "./market.mjs";

const task = JSON.parse(process.argv[2]);
const report = { ok: false, providers: [], discovery_ms: { cold: null, known: null }, answers: [], screenshots: [] };
let market;
let browser;
try {
  await mkdir(task.screenshots, { recursive: true });
  say("Starting two providers and the browser");
  [market, browser] = await Promise.all([
    Market.open({ providers: task.providers, free_daily: 3 }),
    Browser.open({ headless: !task.headed, viewport: task.headed ? null : undefined }),
  ]);
  await show();
  report.ok = true;
} catch (error) {
  report.error = error.message;
  console.error(`\nThe demo failed: ${error.message}`);
  for (const worker of market?.workers ?? []) console.error(`--- ${worker.handle}\n${worker.program?.lastWords() ?? ""}`);
} finally {
  await browser?.close().catch(() => {});
  await market?.close().catch(() => {});
  if (task.report) await writeFile(task.report, `${JSON.stringify(report, null, 2)}\n`);
}
process.exit(report.ok ? 0 : 1);

async function show() {
  const panel = await browser.panel("popup");
  await panel.at("invite-input").waitFor();
  await shoot(panel, "first-screen");
  say(`Joining by the invite that \`worker invite\` prints: ${market.invite.slice(0, 48)}...`);
  await panel.join(market.invite);
  const joined = performance.now();
  const port = await browser.port();
  const providers = await port.usable(task.providers.length, 60);
  // The background counts from Join to the first provider that can be asked.
  report.discovery_ms.cold = (await port.heard("network")).discovery_ms ?? Math.round(performance.now() - joined);
  report.providers = providers.map(({ handle, id, models }) => ({ handle, provider_id: id, model: models[0]?.id ?? "" }));
  say(`First provider found ${report.discovery_ms.cold} ms after Join`);
  for (const { name, handle, fingerprint, models } of providers) {
    console.log(`    ${name} (${handle})  ${fingerprint}  ${models[0]?.id ?? ""} ${models[0]?.detail ?? ""}`);
  }
  await panel.providers(task.providers.length);
  await shoot(panel, "providers");

  for (const [turn, { handle, text }] of task.questions.entries()) {
    const provider = providers.find((provider) => provider.handle === handle);
    await panel.pick(provider.id);
    report.answers.push(await ask(panel, port, provider, text, turn + 1));
  }

  report.discovery_ms.known = await known_ms();
  say(`Opened again, a known provider can be asked after ${report.discovery_ms.known} ms`);
  await shoot(panel, "popup");
  const side = await browser.panel("panel", { width: 420, height: 900 });
  await side.at("answer").first().waitFor();
  await shoot(side, "side-panel");
  await side.page.close();
  const tab = await browser.panel("tab", { width: 1280, height: 800 });
  await tab.at("answer").first().waitFor();
  await shoot(tab, "tab");
  await tab.go("/settings");
  await shoot(tab, "settings");
  await tab.page.close();
  if (task.headed) {
    say("The browser stays open for you; close it, or press Ctrl-C here, to end the demo");
    await new Promise((resolve) => browser.context.on("close", resolve));
  }
}

async function ask(panel, port, provider, question, turn) {
  console.log(`\n  You to ${provider.name}: ${question}\n`);
  const asked = await panel.send(question);
  const id = await asked.getAttribute("data-message-id");
  let shown = "";
  await until("the answer's end", async () => {
    const message = await port.message(id);
    const text = message?.text ?? "";
    process.stdout.write(text.slice(shown.length));
    if (shown === "" && text !== "") await shoot(panel, `streaming-${turn}`);
    shown = text;
    return message && !LIVE.includes(message.phase);
  }, 180);
  const message = await port.ended(id);
  process.stdout.write(message.text.slice(shown.length));
  if (message.phase !== "complete") throw new Error(`${provider.name} did not answer: ${message.phase} ${message.code ?? ""}`);
  const tokens = message.tokens?.[1] ?? 0;
  const seconds = ((message.total_ms ?? 0) - (message.first_ms ?? 0)) / 1000;
  const tokens_per_s = seconds > 0 ? Math.round((tokens / seconds) * 10) / 10 : 0;
  console.log(`\n\n    ${message.first_ms} ms to the first token, ${tokens} tokens, ${tokens_per_s} tokens/s`);
  return { provider: provider.handle, question, text: message.text, ttft_ms: message.first_ms, tokens, tokens_per_s };
}

/** From opening a panel, with the background started anew, to a provider that can be asked. */
async function known_ms() {
  const began = performance.now();
  const again = await browser.panel("popup");
  await until("a usable provider", async () => (await again.at("send").getAttribute("data-ready")) === "true");
  const took = Math.round(performance.now() - began);
  await again.page.close();
  return took;
}

async function shoot(panel, name) {
  for (const scheme of ["light", "dark"]) {
    await panel.page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    const path = join(task.screenshots, `${name}-${scheme}.png`);
    await panel.page.screenshot({ path });
    report.screenshots.push(path);
  }
  await panel.page.emulateMedia({ colorScheme: "light", reducedMotion: null });
}

function say(text) {
  console.log(`[${(performance.now() / 1000).toFixed(1).padStart(5)} s] ${text}`);
}
