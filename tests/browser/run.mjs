// Runs the browser cases one after the other and prints a TAP line for each. Arguments pick cases by a part of their
// name. Set by `cargo xtask test browser`: CHROMIUM, DIST, WORKER, MOCK_OPENAI, TAP, CROWD, LIAR; PRIVACYAI_DEEP adds the long ones.
import { mkdir, writeFile } from "node:fs/promises";
import { asking } from "./cases/asking.mjs";
import { choosing } from "./cases/choosing.mjs";
import { crowd } from "./cases/crowd.mjs";
import { cuts } from "./cases/cuts.mjs";
import { damage } from "./cases/damage.mjs";
import { failover } from "./cases/failover.mjs";
import { history } from "./cases/history.mjs";
import { joining } from "./cases/joining.mjs";
import { keyboard } from "./cases/keyboard.mjs";
import { leaks } from "./cases/leaks.mjs";
import { long } from "./cases/long.mjs";
import { looks } from "./cases/looks.mjs";
import { markdown } from "./cases/markdown.mjs";
import { many } from "./cases/many.mjs";
import { providers } from "./cases/providers.mjs";
import { quota } from "./cases/quota.mjs";
import { real } from "./cases/real.mjs";
import { restarts } from "./cases/restarts.mjs";
import { stars } from "./cases/stars.mjs";
import { states } from "./cases/states.mjs";
import { still } from "./cases/still.mjs";
import { usage } from "./cases/usage.mjs";
import { Browser } from "./extension.mjs";
import { Market } from "./market.mjs";

const PROVIDERS = [
  { handle: "alpha", name: "Alpha", words: 50 },
  { handle: "beta", name: "Beta", words: 20 },
  { handle: "gamma", name: "Gamma", words: 1000 },
];
/** A case that hangs must not hang the others. */
const CASE_SECONDS = 180;

const wanted = process.argv.slice(2);
const deep = Boolean(process.env.PRIVACYAI_DEEP);
const cases = [joining, asking, many, restarts, damage, looks, still, long, states, markdown, keyboard, leaks, providers, choosing, crowd, quota, stars, cuts, failover, history, usage, real].flat()
  .filter(({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part)));

/** What a case works with; what it opens is closed after it. */
class Bench {
  constructor(market) {
    this.deep = deep;
    this.shared = market;
    this.opened = [];
  }

  /** Three providers of known text: alpha (50 words), beta (20), gamma (1,000, five seconds long). */
  async market() {
    this.shared.value ??= await Market.open({ providers: PROVIDERS });
    return this.shared.value;
  }

  /** A market of this case's own. */
  async own_market(options) {
    const market = await Market.open(options);
    this.opened.push(market);
    return market;
  }

  async browser(options) {
    const browser = await Browser.open(options);
    this.opened.push(browser);
    return browser;
  }

  /** A browser that has joined, and its background's port. */
  async joined({ market, providers = 3, ...options } = {}) {
    const joined = market ?? (await this.market());
    const browser = await this.browser(options);
    const port = await browser.port();
    await port.join(joined.invite);
    await port.usable(providers);
    return { market: joined, browser, port };
  }

  async close() {
    for (const thing of this.opened.reverse()) await thing.close().catch(() => {});
    this.opened = [];
  }

  /** Pictures and words of a failed case. */
  async keep(name, error) {
    const folder = new URL("../../out/failures/", import.meta.url).pathname;
    await mkdir(folder, { recursive: true });
    const file = name.replace(/[^a-z0-9]+/gi, "-");
    const words = [`${error.stack}`];
    for (const thing of this.opened) {
      if (!(thing instanceof Browser)) continue;
      for (const [index, page] of (thing.context?.pages() ?? []).entries()) {
        await page.screenshot({ path: `${folder}${file}-${index}.png`, timeout: 5_000 }).catch(() => {});
      }
      words.push(...thing.messages.slice(-40));
    }
    for (const market of [this.shared.value, ...this.opened]) {
      for (const worker of market?.workers ?? []) words.push(`--- ${worker.handle}`, worker.program?.lastWords() ?? "not started");
    }
    await writeFile(`${folder}${file}.txt`, words.join("\n"));
    return `${folder}${file}.txt`;
  }
}

const shared = {};
let failed = 0;
console.log(`1..${cases.length}`);
for (const [index, { name, run, long, seconds: limit = deep ? 10 * CASE_SECONDS : CASE_SECONDS }] of cases.entries()) {
  const line = `${index + 1} - ${name}`;
  if (long && !deep) {
    console.log(`ok ${line} # SKIP runs with --deep`);
    continue;
  }
  const bench = new Bench(shared);
  const began = performance.now();
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${limit} s`)), limit * 1000);
  });
  try {
    const said = await Promise.race([run(bench), late]);
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    console.log(`ok ${line} (${seconds} s${said ? `; ${said}` : ""})`);
  } catch (error) {
    failed += 1;
    const file = await bench.keep(name, error);
    console.log(`not ok ${line}`);
    console.log(`${error.stack}\nMore is in ${file}`.replace(/^/gm, "# "));
  } finally {
    clearTimeout(timer);
    await bench.close();
  }
}
await shared.value?.close();
process.exit(failed === 0 ? 0 : 1);
