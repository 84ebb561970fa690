// The demo: joins by an invite, asks two providers, prints both answers as they stream, leaves screenshots.
// Reads {invite, handles, screenshots, report, headed, questions} as JSON from its first argument.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Browser, until } from "./extension.mjs";

const task = JSON.parse(process.argv[2]);
const shots = [];
const browser = await Browser.open({ headless: !task.headed, viewport: task.headed ? null : undefined });
try {
  await mkdir(task.screenshots, { recursive: true });
  const panel = await browser.panel("popup");
  await shoot(panel, "first-screen");
  const joined = performance.now();
  await panel.join(task.invite);
  const port = await browser.port();
  await until("a usable provider", async () => (await port.providers()).some((provider) => provider.usable));
  const cold = Number(await panel.at("network-state").first().getAttribute("data-discovery-ms"))
    || Math.round(performance.now() - joined);
  console.log(`First provider found ${cold} ms after Join.`);
  const providers = await port.usable(task.handles.length, 60);
  for (const provider of providers) console.log(`  ${provider.name} (${provider.handle})  ${provider.fingerprint}`);
  await panel.providers(task.handles.length);
  await shoot(panel, "providers");

  const answers = [];
  for (const [turn, question] of task.questions.entries()) {
    const handle = task.handles[turn % task.handles.length];
    const provider = providers.find((provider) => provider.handle === handle) ?? providers[turn % providers.length];
    await panel.pick(provider.id);
    console.log(`\nQuestion for ${provider.name}: ${question}`);
    const asked = await panel.send(question);
    const text = asked.locator('[data-testid="answer-text"]');
    let shown = "";
    await until("the answer ends", async () => {
      const now = (await text.count()) > 0 ? await text.innerText() : "";
      if (now.startsWith(shown)) process.stdout.write(now.slice(shown.length));
      if (shown === "" && now !== "") await shoot(panel, `streaming-${turn + 1}`);
      shown = now;
      return !["waiting", "streaming", "stalled"].includes(await asked.getAttribute("data-phase"));
    }, 180);
    const end = await panel.ended(asked);
    process.stdout.write(end.text.startsWith(shown) ? end.text.slice(shown.length) : `\n${end.text}`);
    const facts = await facts_of(port, await asked.getAttribute("data-message-id"));
    if (end.phase !== "complete") throw new Error(`${provider.name} did not answer: ${end.phase}`);
    const tokens = facts?.tokens?.[1] ?? 0;
    const seconds = ((facts?.total_ms ?? 0) - (facts?.first_ms ?? 0)) / 1000;
    const rate = seconds > 0 ? Math.round((tokens / seconds) * 10) / 10 : 0;
    console.log(`\n  ${facts?.first_ms} ms to first word, ${tokens} tokens, ${rate} tokens/s`);
    answers.push({ provider: handle, question, text: facts?.text ?? end.text, ttft_ms: facts?.first_ms ?? 0, tokens, tokens_per_s: rate });
  }

  const known = await known_ms();
  console.log(`\nA panel opened again: ${known} ms until a provider can be asked.`);
  await shoot(panel, "popup");
  await panel.page.setViewportSize({ width: 420, height: 900 });
  await shoot(panel, "side-panel");
  const tab = await browser.panel("tab", { width: 1280, height: 800 });
  await tab.at("answer").first().waitFor();
  await shoot(tab, "tab");
  await tab.go("/settings");
  await shoot(tab, "settings");
  await tab.page.close();
  if (task.report) {
    const report = {
      ok: true,
      providers: providers.map(({ handle, id, models }) => ({ handle, provider_id: id, model: models[0]?.id ?? "" })),
      discovery_ms: { cold, known },
      answers,
      screenshots: shots,
    };
    await writeFile(task.report, JSON.stringify(report, null, 2) + "\n");
  }
  if (task.headed) {
    console.log("\nThe browser stays open for you; close it to end the demo.");
    await new Promise((resolve) => browser.context.on("close", resolve));
  }

  async function known_ms() {
    const began = performance.now();
    const again = await browser.panel("popup");
    await until("a usable provider", async () => (await again.at("provider-chip").getAttribute("data-status")) !== "unknown");
    const took = Math.round(performance.now() - began);
    await again.page.close();
    return took;
  }
} finally {
  await browser.close().catch(() => {});
}

/** The answer's figures as the background tells them. */
async function facts_of(port, id) {
  let found;
  for (const update of await port.updates()) {
    if (update.is === "message" && update.message.id === id) found = update.message;
  }
  return found;
}

async function shoot(panel, name) {
  for (const scheme of ["light", "dark"]) {
    await panel.page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    const path = join(task.screenshots, `${name}-${scheme}.png`);
    await panel.page.screenshot({ path });
    shots.push(path);
  }
  await panel.page.emulateMedia({ colorScheme: "light", reducedMotion: null });
}
