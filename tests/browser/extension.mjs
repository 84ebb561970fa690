// Opens the packed extension in real Chromium and drives it: its pages as a user would, its background as a panel would.
import { chromium } from "playwright-core";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { end_last, remove, temporary } from "./ending.mjs";

const program = process.env.CHROMIUM ?? "/usr/lib/chromium/chromium";
export const dist = process.env.DIST ?? new URL("../../dist", import.meta.url).pathname;

const quiet = [
  "--disable-gpu", "--disable-quic", "--no-first-run", "--no-default-browser-check", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-search-engine-choice-screen",
];

/** What is waited for will not come: `until` waits no longer. */
export class Ended extends Error {}

/** The value of `probe()` once it is truthy; throws with `what` after `seconds`, or at once when the probe throws `Ended`. */
export async function until(what, probe, seconds = 30) {
  const end = Date.now() + seconds * 1000;
  let last;
  while (Date.now() < end) {
    try {
      const value = await probe();
      if (value) return value;
    } catch (error) {
      if (error instanceof Ended) throw error;
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`not within ${seconds} s: ${what}${last ? ` (${last.message})` : ""}`);
}

/** Phases of an answer that goes on. */
export const LIVE = ["waiting", "streaming", "stalled"];

/** A browser profile with the extension in it. */
export class Browser {
  /** Starts Chromium. `profile` keeps a profile folder across starts; without it a fresh one is made and removed. */
  static async open({ profile, headless = true, colorScheme = "light", viewport = { width: 400, height: 600 } } = {}) {
    const browser = new Browser();
    browser.kept = Boolean(profile);
    browser.profile = profile ?? (await temporary("profile"));
    if (!profile) await developer_mode(browser.profile);
    const root = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
    browser.context = await chromium.launchPersistentContext(browser.profile, {
      headless,
      executablePath: program,
      colorScheme,
      viewport,
      args: [...quiet, ...root, `--disable-extensions-except=${dist}`, `--load-extension=${dist}`],
      ignoreDefaultArgs: ["--disable-extensions"],
    });
    end_last();
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

  /** The background through its port, as a panel without a view: everything a user can do, without any UI. */
  async port() {
    const page = await this.context.newPage();
    try {
      await page.goto(`chrome-extension://${this.id}/manifest.json`);
      const port = new Port(page);
      await port.connect();
      return port;
    } catch (error) {
      await page.close().catch(() => {});
      throw error;
    }
  }

  async close() {
    await this.context.close();
    if (!this.kept) await remove(this.profile);
  }
}

/** A person who loads an unpacked extension has switched this on; without it a reload leaves the extension disabled. */
async function developer_mode(profile) {
  await mkdir(join(profile, "Default"), { recursive: true });
  await writeFile(join(profile, "Default/Preferences"), JSON.stringify({ extensions: { ui: { developer_mode: true } } }));
}

/** The background's port, and what was heard on it, held by the page. */
export class Port {
  constructor(page) {
    this.page = page;
  }

  /** Opens the port, again after it broke. */
  async connect() {
    await this.page.evaluate(listen);
    await until("the background answers", () => this.heard("settings"));
  }

  order(command) {
    return this.page.evaluate((command) => order(command), command);
  }

  /** A part of what was heard: `settings`, `network`, `conversations`, `invite`, `exported`, `refused`. */
  heard(part) {
    return this.page.evaluate((part) => heard[part], part);
  }

  /** All providers as last told. */
  providers() {
    return this.page.evaluate(() => [...heard.providers.values()]);
  }

  usable(count, seconds = 30) {
    return until(`${count} usable providers`, async () => {
      const usable = (await this.providers()).filter((provider) => provider.usable);
      return usable.length >= count && usable;
    }, seconds);
  }

  /** Joins by an invite and waits for the network. */
  async join(invite, seconds = 30) {
    await this.order({ do: "join", text: invite });
    await until("the network", async () => (await this.heard("network"))?.state === "connected", seconds);
  }

  /** The message with this id, its text whole. */
  message(id) {
    return this.page.evaluate((id) => heard.messages.get(id), id);
  }

  /** Asks, in a new conversation unless one is named, and gives the answer's message id. The words must be new. */
  async ask(text, { provider = null, conversation = null } = {}) {
    await this.order({ do: "ask", conversation, text, replaces: null, provider });
    return until("the question is taken", () => this.page.evaluate((text) => heard.answers.get(text), text));
  }

  /** Waits until an answer ended and gives its message, with the text that the background holds. */
  async ended(id, seconds = 60) {
    return until(`the end of answer ${id}`, () => this.page.evaluate(ended_message, id), seconds);
  }

  /** Waits until an answer has at least `length` characters. */
  async grown(id, length, seconds = 30) {
    return until(`${length} characters of answer ${id}`, async () => {
      const message = await this.message(id);
      if (message && !LIVE.includes(message.phase)) throw new Error(`it ended: ${message.phase}`);
      return message?.text.length >= length && message;
    }, seconds);
  }

  /** Asks and waits for the end. */
  async answer(text, options = {}) {
    return this.ended(await this.ask(text, options), options.seconds);
  }
}

/** Runs in the page: gathers what the background tells. */
async function listen() {
  await chrome.runtime.sendMessage({ to: "bg", kind: "ensure" });
  const fresh = { providers: new Map(), messages: new Map(), answers: new Map(), refused: [], notices: [], deltas: 0 };
  globalThis.heard ??= fresh;
  heard.settings = undefined;
  const show = (conversation) => {
    conversation.messages.forEach((message, index) => {
      heard.messages.set(message.id, { ...message, conversation: conversation.id });
      const next = conversation.messages[index + 1];
      if (message.role === "user" && next) heard.answers.set(message.text, next.id);
    });
  };
  const take = {
    snapshot(update) {
      Object.assign(heard, { settings: update.settings, network: update.network, conversations: update.conversations });
      for (const provider of update.providers) heard.providers.set(provider.id, provider);
      if (update.open) show(update.open);
    },
    network: ({ network }) => (heard.network = network),
    provider: ({ provider }) => heard.providers.set(provider.id, provider),
    conversations: ({ conversations }) => (heard.conversations = conversations),
    conversation: ({ conversation }) => show(conversation),
    message({ conversation, message }) {
      const text = message.text || (heard.messages.get(message.id)?.text ?? "");
      heard.messages.set(message.id, { ...message, text, conversation });
    },
    delta({ answer, text }) {
      heard.deltas += 1;
      const message = heard.messages.get(answer);
      if (message) message.text += text;
    },
    settings: ({ settings }) => (heard.settings = settings),
    invite: (update) => (heard.invite = update),
    exported: ({ json }) => (heard.exported = json),
    refused: ({ text }) => heard.refused.push(text),
    notice: ({ text }) => heard.notices.push(text),
  };
  globalThis.port = chrome.runtime.connect({ name: "panel" });
  port.onMessage.addListener((message) => {
    const update = typeof message === "string" ? JSON.parse(message) : message;
    take[update.is]?.(update);
  });
  port.onDisconnect.addListener(() => (heard.broken = true));
  heard.broken = false;
  globalThis.order = (command) => port.postMessage(JSON.stringify(command));
  order({ do: "hello" });
}

/** Runs in the page. */
function ended_message(id) {
  const message = heard.messages.get(id);
  return message && !["waiting", "streaming", "stalled"].includes(message.phase) && message;
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
    const rows = this.page.locator('[data-testid="provider-row"][data-usable="true"]');
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
    // A long transcript keeps only what is near in the page, so the count of answers says nothing.
    const last = async () => ((await this.at("answer").count()) > 0 ? this.at("answer").last().getAttribute("data-message-id") : null);
    const before = await last();
    await this.at("composer-input").fill(text);
    await until("Send is ready", async () => (await this.at("send").getAttribute("data-ready")) === "true");
    await this.at("send").click();
    await until("a new answer", async () => (await last()) !== before);
    return this.at("answer").last();
  }

  /** Waits until an answer ended and gives how, who and its text. */
  async ended(answer, seconds = 120) {
    const phase = await until("the answer ends", async () => {
      const phase = await answer.getAttribute("data-phase");
      return !LIVE.includes(phase) && phase;
    }, seconds);
    const text = answer.locator('[data-testid="answer-text"]');
    return {
      phase,
      provider: await answer.getAttribute("data-provider"),
      text: (await text.count()) > 0 ? await text.innerText() : "",
    };
  }
}
