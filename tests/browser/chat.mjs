// A long chat in a visible panel: a conversation of a thousand messages is opened and an answer of 100 kB streams into
// it, through the whole way from a worker. Gives what a person would feel: `bench.mjs chat`.
import { readFileSync, readdirSync } from "node:fs";
import { remove, temporary } from "./ending.mjs";
import { Browser, until } from "./extension.mjs";
import { Market, Mock } from "./market.mjs";
import { exchange } from "./scripted.mjs";

const EXCHANGES = 500;
/** Words of the answer: 100 kB of text. */
const WORDS = 12_000;
const LONG = "long";

/** Answers as models write them, short enough that all of them are sent along with the next question: none is cut silently. */
function answer(n) {
  const words = Array.from({ length: 4 + ((n * 37) % 16) }, (_, at) => `word${(n * at) % 97}`).join(" ");
  if (n % 10 === 3) return `${words}\n\n\`\`\`rust\nfn main() {\n    println!("{}", 42);\n}\n\`\`\``;
  if (n % 10 === 6) return `${words}\n\n| a | b |\n|---|---|\n| 1 | ${n} |`;
  return n % 2 ? `${words}\n\n- one **thing**\n- another \`thing\`` : words;
}

/**
 * Samples: `opening_cold` and `opening` in ms, after a start of the browser and later; `tasks` of the main thread in ms, while
 * the conversation is opened and read and the answer streams, and `work`, what of each the thread was not waiting for a
 * processor; `memory` in MB; and `text`, the bytes of the answer, which is compared word for word, as kept and as shown. The
 * answer has paragraphs, or is one of 100 kB as `known:`.
 */
export async function long_chat({ kind = "prose", openings = 5 } = {}) {
  const model = `${kind}:${WORDS}`;
  const market = await Market.open({ providers: [{ handle: "writer", model, offered: "chat", output: 2 * WORDS }], pace: { first_ms: 20, token_ms: 3 } });
  const profile = await temporary("chat");
  const figures = { opening_cold: [], opening: [], tasks: [], work: [], memory: [], text: 0 };
  const ran = async (trace) => {
    for (const { dur, tdur } of await trace.stop()) {
      figures.tasks.push(dur / 1_000);
      figures.work.push((tdur ?? dur) / 1_000);
    }
  };
  let browser = await Browser.open({ profile });
  try {
    const port = await browser.port();
    await port.join(market.invite);
    await port.usable(1);
    const messages = Array.from({ length: EXCHANGES }, (_, n) => exchange(n, `Question ${n}?`, { text: answer(n) })).flat();
    const short = exchange(EXCHANGES, "Short?", { text: "Yes." });
    await port.order({ do: "import", conversations: [{ id: LONG, title: "A long chat", messages }, { id: "short", title: "A short one", messages: short }] });
    await until("the conversations are there", async () => (await port.heard("conversations")).length === 2);
    // Orders are carried out one after the other, each with its writes: what was taken in is on the disk.
    await port.order({ do: "export" });
    await until("the export", () => port.heard("exported"));

    let panel;
    let trace;
    const newest = `a${EXCHANGES - 1}`;
    const ready = () => until("the provider is usable", async () => (await panel.at("send").getAttribute("data-ready")) === "true");
    const open_short = () => opened(panel, "A short one", `a${EXCHANGES}`);
    for (let n = 0; n < Math.max(1, openings); n += 1) {
      await browser.close();
      browser = await Browser.open({ profile });
      panel = await browser.panel("panel");
      // What the browser does at its start is none of it; that the background dials, on the panel's thread, is.
      await ready();
      trace = await Trace.start(browser, panel.page);
      await until("the network", async () => (await panel.at("network-state").getAttribute("data-state")) === "connected");
      figures.opening_cold.push(await opened(panel, "A long chat", newest));
      await ran(trace);
      // The one that was open last is read at the start already.
      await open_short();
    }
    trace = await Trace.start(browser, panel.page);
    await opened(panel, "A long chat", newest);
    for (let n = 0; n < 2 * openings; n += 1) {
      await open_short();
      figures.opening.push(await opened(panel, "A long chat", newest));
    }
    await panel.page.evaluate(scroll_through);
    await ready();

    const question = "Write me a book?";
    const streamed = await panel.send(question);
    const seen = setInterval(() => figures.memory.push(memory(profile)), 2_000);
    const { phase } = await panel.ended(streamed, 600).finally(() => clearInterval(seen));
    if (phase !== "complete") throw new Error(`the answer ended ${phase}, code ${await streamed.getAttribute("data-code")}`);
    await ran(trace);
    const last = Mock.text(question, WORDS).trim().split(/\s+/).at(-1);
    await until("its last word is on the screen", () => panel.page.getByText(last).last().isVisible());
    figures.memory.push(memory(profile));
    const shown = await streamed.locator('[data-testid="answer-text"]').evaluate((node) => node.textContent);
    const again = await browser.port();
    await again.order({ do: "open", conversation: LONG });
    const id = await streamed.getAttribute("data-message-id");
    const { text } = await until("the whole answer", () => again.message(id));
    const expected = Mock.text(question, WORDS, { prose: kind === "prose" });
    if (text.trim() !== expected.trim()) throw new Error(`the answer of ${text.length} characters is not what was sent`);
    const bare = (text) => text.replace(/\s/g, "");
    if (bare(shown) !== bare(text)) throw new Error(`${shown.length} characters are on the screen, not the ${text.length} that came`);
    figures.text = Buffer.byteLength(text);
  } finally {
    await browser.close();
    await market.close();
    await remove(profile);
  }
  return figures;
}

/** Ms from the press on a conversation's row until its newest message is drawn. */
async function opened(panel, title, newest) {
  await panel.go("/history");
  const row = panel.page.locator('[data-testid="history-open"]').filter({ hasText: title });
  await row.waitFor();
  return row.evaluate((row, newest) => new Promise((done, fail) => {
    const began = performance.now();
    const look = () => {
      if (document.querySelector(`[data-message-id="${newest}"]`)?.clientHeight > 0) {
        return requestAnimationFrame(() => done(performance.now() - began));
      }
      if (performance.now() - began > 20_000) return fail(new Error("it was not shown within 20 s"));
      requestAnimationFrame(look);
    };
    row.click();
    look();
  }), newest);
}

/** Runs in the page: reads up through the conversation, a screen a frame, and goes back to its end. */
async function scroll_through() {
  const area = document.querySelector('[data-testid="transcript"]');
  const frame = () => new Promise(requestAnimationFrame);
  for (let last; area.scrollTop !== last; await frame()) {
    last = area.scrollTop;
    area.scrollTop -= area.clientHeight;
  }
  area.scrollTop = area.scrollHeight;
  for (let n = 0; n < 10; n += 1) await frame();
  document.querySelector('[data-testid="to-end"]')?.click();
}

/** The proportional memory of the extension's own processes: panel and background with their heaps, their wasm and the browser's own
 *  code in them, in MB. */
function memory(profile) {
  const processes = new Map();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      processes.set(pid, { words, parent: /PPid:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1] });
    } catch {
      // It ended.
    }
  }
  const ours = (pid) => processes.has(pid) && (processes.get(pid).words.includes(profile) || ours(processes.get(pid).parent));
  let kib = 0;
  for (const [pid, { words }] of processes) {
    if (!words.includes("--extension-process") || !ours(pid)) continue;
    kib += Number(/Pss:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1] ?? 0);
  }
  return (kib * 1_024) / 1_000_000;
}

/** What the browser says of the main thread's tasks: of the panel and of the background, which share it. */
class Trace {
  static async start(browser, page) {
    const trace = new Trace();
    trace.session = await browser.context.newCDPSession(page);
    trace.events = [];
    trace.session.on("Tracing.dataCollected", ({ value }) => trace.events.push(...value));
    trace.complete = new Promise((done) => trace.session.on("Tracing.tracingComplete", done));
    const categories = ["toplevel", "__metadata"];
    await trace.session.send("Tracing.start", { transferMode: "ReportEvents", traceConfig: { includedCategories: categories, excludedCategories: ["*"] } });
    return trace;
  }

  /** The tasks, with the microseconds that each took (`dur`) and that the thread ran of them (`tdur`). */
  async stop() {
    await this.session.send("Tracing.end");
    await this.complete;
    const main = new Set();
    for (const { name, args, pid, tid } of this.events) {
      if (name === "thread_name" && args.name === "CrRendererMain") main.add(`${pid} ${tid}`);
    }
    const tasks = this.events.filter(({ name, dur, pid, tid }) => /RunTask$/.test(name) && dur && main.has(`${pid} ${tid}`));
    return tasks;
  }
}
