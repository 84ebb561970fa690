// Opens the packed extension in real Chromium and drives it: its pages as a user would, its background as a panel would.
import { chromium } from "playwright-core";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const program = process.env.CHROMIUM ?? "/usr/lib/chromium/chromium";
export const dist = process.env.DIST ?? new URL("../../dist", import.meta.url).pathname;

const quiet = [
  "--disable-gpu", "--disable-quic", "--no-first-run", "--no-default-browser-check", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-search-engine-choice-screen",
];

/** The value of `probe()` once it is truthy; throws with `what` after `seconds`. */
export async function until(what, probe, seconds = 30) {
  const end = Date.now() + seconds * 1000;
  let last;
  while (Date.now() < end) {
    try {
      const value = await probe();
      if (value) return value;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`not within ${seconds} s: ${what}${last ? ` (${last.message})` : ""}`);
}

/** A browser profile with the extension in it. */
export class Browser {
  /** Starts Chromium. `profile` keeps a profile folder across starts; without it a fresh one is made and removed. */
  static async open({ profile, headless = true, colorScheme = "light", viewport = { width: 400, height: 600 } } = {}) {
    const browser = new Browser();
    browser.kept = Boolean(profile);
    browser.profile = profile ?? (await mkdtemp(join(tmpdir(), "privacyai-profile-")));
    const root = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
    browser.context = await chromium.launchPersistentContext(browser.profile, {
      headless,
      executablePath: program,
      colorScheme,
      viewport,
      args: [...quiet, ...root, `--disable-extensions-except=${dist}`, `--load-extension=${dist}`],
      ignoreDefaultArgs: ["--disable-extensions"],
    });
    browser.messages = [];
    browser.context.on("page", (page) => browser.listen(page));
    const [worker] = browser.context.serviceWorkers();
    browser.worker = worker ?? (await browser.context.waitForEvent("serviceworker", { timeout: 30_000 }));
    browser.id = new URL(browser.worker.url()).host;
    return browser;
  }

  listen(page) {
    page.on("console", (message) => this.messages.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => this.messages.push(`pageerror: ${error.message}`));
  }

  /** A panel page; `view` is popup, panel or tab. */
  async panel(view = "popup", viewport) {
    const page = await this.context.newPage();
    if (viewport) await page.setViewportSize(viewport);
    await page.goto(`chrome-extension://${this.id}/panel.html?view=${view}`);
    await page.locator('[data-testid="app"]').waitFor({ timeout: 30_000 });
    return new Panel(page);
  }

  /** The background through its port, as a panel without a view: `ask` and `stop` without any UI. */
  async port() {
    const page = await this.context.newPage();
    await page.goto(`chrome-extension://${this.id}/manifest.json`);
    await page.evaluate(async () => {
      await chrome.runtime.sendMessage({ to: "bg", kind: "ensure" });
      globalThis.updates = [];
      globalThis.port = chrome.runtime.connect({ name: "panel" });
      port.onMessage.addListener((message) => updates.push(typeof message === "string" ? JSON.parse(message) : message));
      globalThis.order = (command) => port.postMessage(JSON.stringify(command));
      order({ do: "hello" });
    });
    return new Port(page);
  }

  async close() {
    await this.context.close();
    if (!this.kept) await rm(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** The background's port. */
export class Port {
  constructor(page) {
    this.page = page;
  }

  order(command) {
    return this.page.evaluate((command) => order(command), command);
  }

  updates() {
    return this.page.evaluate(() => updates);
  }

  /** All providers as last told. */
  async providers() {
    const known = new Map();
    for (const update of await this.updates()) {
      if (update.is === "snapshot") for (const provider of update.providers) known.set(provider.id, provider);
      if (update.is === "provider") known.set(update.provider.id, update.provider);
    }
    return [...known.values()];
  }

  usable(count, seconds = 30) {
    return until(`${count} usable providers`, async () => {
      const usable = (await this.providers()).filter((provider) => provider.usable);
      return usable.length >= count && usable;
    }, seconds);
  }

  /** Joins by an invite. */
  join(invite) {
    return this.order({ do: "join", text: invite });
  }

  /** Asks in a new conversation and gives the answer's last view, its text whole. */
  async ask(text, provider = null, seconds = 60) {
    await this.page.evaluate(() => (globalThis.mark = updates.length));
    await this.order({ do: "ask", conversation: null, text, replaces: null, provider });
    return this.answer(seconds);
  }

  answer(seconds = 60) {
    return until("an ended answer", () => this.page.evaluate(() => {
      const live = ["waiting", "streaming", "stalled"];
      for (const update of updates.slice(mark)) {
        if (update.is === "message" && update.message.role === "assistant" && !live.includes(update.message.phase)) {
          return update.message;
        }
      }
    }), seconds);
  }
}

/** A visible panel. */
export class Panel {
  constructor(page) {
    this.page = page;
  }

  at(id) {
    return this.page.locator(`[data-testid="${id}"]`);
  }

  /** Takes an invite on the first screen. */
  async join(invite) {
    await this.at("invite-input").fill(invite);
    await this.at("invite-read").click();
    await this.at("invite-changes").waitFor();
    await this.at("invite-join").click();
  }

  /** Opens another of the panel's pages by its address: "/", "/providers", ... */
  async go(address) {
    await this.page.evaluate((address) => (location.hash = address), address);
  }

  /** Waits until `count` providers are shown that can be asked now. */
  async providers(count, seconds = 30) {
    await this.go("/providers");
    const rows = this.page.locator('[data-testid="provider-row"]:is([data-status="online"],[data-status="busy"])');
    await until(`${count} providers on the screen`, async () => (await rows.count()) >= count, seconds);
    const found = [];
    for (const row of await rows.all()) found.push(await row.getAttribute("data-provider-id"));
    return found;
  }

  /** Picks a provider by its id. */
  async pick(id) {
    await this.go("/providers");
    await this.page.locator(`[data-testid="provider-row"][data-provider-id="${id}"] [data-testid="provider-pick"]`).click();
    await this.go("/");
    await until(`${id} is chosen`, async () => (await this.at("provider-chip").getAttribute("data-provider-id")) === id);
  }

  /** Types a question, sends it and gives the answer's element. */
  async send(text) {
    const before = await this.at("answer").count();
    await this.at("composer-input").fill(text);
    await until("Send is ready", async () => (await this.at("send").getAttribute("data-ready")) === "true");
    await this.at("send").click();
    await until("a new answer", async () => (await this.at("answer").count()) > before);
    return this.at("answer").last();
  }

  /** Waits until an answer ended and gives how, who and its text. */
  async ended(answer, seconds = 120) {
    const live = ["waiting", "streaming", "stalled"];
    const phase = await until("the answer ends", async () => {
      const phase = await answer.getAttribute("data-phase");
      return !live.includes(phase) && phase;
    }, seconds);
    const text = answer.locator('[data-testid="answer-text"]');
    return {
      phase,
      provider: await answer.getAttribute("data-provider"),
      text: (await text.count()) > 0 ? await text.innerText() : "",
    };
  }
}
