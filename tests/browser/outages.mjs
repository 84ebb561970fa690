// What it costs a user when a provider dies, falls silent or leaves, and how soon the screen says so: `bench.mjs failover`.
// Times are of one machine's clock, from what was done to a worker until a page shows what came of it.
import { Browser, until } from "./extension.mjs";
import { Market } from "./market.mjs";

/** Answers that lose their provider: every second one is killed, the others fall silent with open connections. */
const CUTS = 20;
/** Questions to a provider of one slot, which is busy while it answers. */
const TURNS = 20;
/** Heartbeats are missed for so long until a provider counts as unknown (src/announcement/heartbeat.rs). */
const VALID_MS = 90_000;

/** Ms from the loss of an answer's provider until another one's words are there. */
export async function taken_over() {
  const providers = ["one", "two", "three", "four"].map((handle) => ({ handle, words: 200, offered: "chat", continues: true }));
  const market = await Market.open({ providers, pinned: true, pace: { first_ms: 20, token_ms: 20 } });
  const browser = await Browser.open();
  const added = [];
  try {
    const port = await browser.port();
    await port.join(market.invite);
    await port.usable(providers.length);
    for (let n = 0; n < CUTS; n += 1) {
      const id = await port.ask(`Goes on ${n}?`);
      const { provider } = await port.grown(id, 300);
      const worker = market.workers.find((worker) => worker.id === provider);
      const words = port.page.evaluate(next_words, { id, seconds: 60 });
      const silent = n % 2 === 1;
      const began = Date.now();
      if (silent) worker.program.child.kill("SIGSTOP");
      else await worker.stop("SIGKILL");
      const { at, phase, gaps } = await words;
      if (!at) throw new Error(`answer ${n} of ${worker.handle}, ${silent ? "silent" : "killed"}, came to no other provider: ${phase}; ${gaps}`);
      added.push(at - began);
      const end = await port.ended(id, 60);
      if (end.phase !== "complete") throw new Error(`answer ${n} ended ${end.phase}`);
      const back = Date.now();
      if (silent) worker.program.child.kill("SIGCONT");
      else await worker.start();
      await heard_again(port, worker, back);
    }
  } finally {
    await browser.close();
    await market.close();
  }
  return added;
}

/** Ms from a message, a failure or a timeout that changes a provider's state until its row on the screen says so. */
export async function seen_change() {
  const providers = ["one", "two", "three", "four", "frozen"].map((handle) => ({ handle, words: 50, offered: "chat", continues: true, concurrency: 1 }));
  const market = await Market.open({ providers, pinned: true, pace: { first_ms: 20, token_ms: 50 } });
  const browser = await Browser.open({ viewport: { width: 1_000, height: 800 } });
  const took = { busy: [], free: [], left: [], failed: [], missed: [] };
  try {
    const port = await browser.port();
    await port.join(market.invite);
    await port.usable(providers.length);
    const panel = await browser.panel("tab", { width: 1_000, height: 800 });
    await panel.providers(providers.length);
    await panel.page.bringToFront();
    const shown = (worker, states, seconds = 20) => panel.page.evaluate(row_shows, { id: worker.id, states, seconds });
    const ms = async (what, showing, began) => {
      const { at, state } = (await showing) ?? {};
      if (!at) throw new Error(`${what} was not shown, but ${state}`);
      // What shows it may be drawn before the other page hears of it.
      return Math.max(0, at - began);
    };

    for (let n = 0; n < TURNS; n += 1) {
      const worker = market.workers[n % market.workers.length];
      const busy = shown(worker, ["busy"]);
      const asked = Date.now();
      const id = await port.ask(`Is it shown ${n}?`, { provider: worker.id });
      took.busy.push(await ms(`${worker.handle}, busy`, busy, asked));
      const free = shown(worker, ["online"]);
      const ended = await port.page.evaluate(end_of, { id, seconds: 60 });
      took.free.push(await ms(`${worker.handle}, free`, free, ended));
    }

    // The silent one counts as unknown when its last heartbeat is over; meanwhile the others work.
    const frozen = market.named("frozen");
    await heard_again(port, frozen, Date.now());
    frozen.program.child.kill("SIGSTOP");
    const unknown = shown(frozen, ["unknown"], VALID_MS / 1_000 + 60).catch(() => null);

    for (const worker of market.workers.filter((worker) => worker !== frozen)) {
      // One that answers dies: its failure shows when the answer is cut.
      const id = await port.ask(`Who fails, ${worker.handle}?`, { provider: worker.id });
      await port.grown(id, 20);
      const failed = shown(worker, ["degraded", "offline"], 60);
      const told = port.page.evaluate(end_of, { id, seconds: 60 });
      await worker.stop("SIGKILL");
      took.failed.push(await ms(`${worker.handle}, failed`, failed, await told));
      let back = Date.now();
      await worker.start();
      await heard_again(port, worker, back);
      // And one leaves with a word.
      const offline = shown(worker, ["offline"], 30);
      const left = Date.now();
      worker.program.child.kill("SIGTERM");
      took.left.push(await ms(`${worker.handle}, leaving`, offline, left));
      await worker.stop("SIGTERM");
      back = Date.now();
      await worker.start();
      await heard_again(port, worker, back);
    }

    const { heard_ms } = (await port.providers()).find(({ id }) => id === frozen.id);
    took.missed.push(await ms("missed heartbeats", unknown, heard_ms + VALID_MS));
    frozen.program.child.kill("SIGCONT");
  } finally {
    for (const { program } of market.workers) program?.child.kill("SIGCONT");
    await browser.close();
    await market.close();
  }
  return took;
}

/** Waits until a worker that came back has been heard of since. */
function heard_again(port, worker, since) {
  return until(`${worker.handle} is heard of again`, async () => {
    const provider = (await port.providers()).find(({ id }) => id === worker.id);
    return provider?.usable && provider.heard_ms >= since;
  }, 90);
}

/** Runs in the page: when words of another provider followed a new cut of this answer; else how it ended. */
function next_words({ id, seconds }) {
  return new Promise((done) => {
    const before = heard.messages.get(id).cuts?.length ?? 0;
    const began = Date.now();
    const gaps = [];
    let cut = false;
    const finish = (value) => {
      port.onMessage.removeListener(listener);
      clearTimeout(timer);
      done({ ...value, gaps: gaps.join(", ") });
    };
    const listener = (json) => {
      const update = JSON.parse(json);
      if (update.is === "message" && update.message.id === id) {
        const { phase, cuts } = update.message;
        gaps.push(`${phase} by ${update.message.provider_name} after ${Date.now() - began} ms`);
        cut ||= (cuts?.length ?? 0) > before;
        if (!["waiting", "streaming", "stalled"].includes(phase)) finish({ phase });
      } else if (cut && update.is === "delta" && update.answer === id) {
        finish({ at: Date.now() });
      }
    };
    const timer = setTimeout(() => finish({ phase: `nothing in ${seconds} s` }), seconds * 1_000);
    port.onMessage.addListener(listener);
  });
}

/** Runs in the page: when this answer ended. */
function end_of({ id, seconds }) {
  return new Promise((done, fail) => {
    const over = ({ phase }) => !["waiting", "streaming", "stalled"].includes(phase);
    if (over(heard.messages.get(id))) return done(Date.now());
    const listener = (json) => {
      const update = JSON.parse(json);
      if (update.is !== "message" || update.message.id !== id || !over(update.message)) return;
      port.onMessage.removeListener(listener);
      clearTimeout(timer);
      done(Date.now());
    };
    const timer = setTimeout(() => fail(new Error(`no end in ${seconds} s`)), seconds * 1_000);
    port.onMessage.addListener(listener);
  });
}

/** Runs in a visible panel: when the frame was drawn in which this provider's row came to one of these states. */
function row_shows({ id, states, seconds }) {
  return new Promise((done) => {
    const row = () => document.querySelector(`[data-testid="provider-row"][data-provider-id="${id}"]`);
    const shows = () => states.includes(row()?.dataset.state);
    const finish = (at) => {
      observer.disconnect();
      clearTimeout(timer);
      done({ at, state: row()?.dataset.state });
    };
    // The frame that shows it is the one after the change.
    const look = () => shows() && requestAnimationFrame(() => finish(Date.now()));
    const observer = new MutationObserver(look);
    const timer = setTimeout(() => finish(null), seconds * 1_000);
    observer.observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-state"] });
  });
}
