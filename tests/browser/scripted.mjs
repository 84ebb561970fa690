// A panel whose background is a script: each state can be shown, and what the panel orders is kept. For what no market
// of this machine can bring about, or not within a test's time.

const SETTINGS = {
  entry_nodes: ["/ip4/127.0.0.1/tcp/1/ws/p2p/16Uiu2HAm1"], profile: "balanced", theme: "system", whole_answers: false, provider: null, model: null,
  keys: null, prefer: null, blocked: null, allowed: null, weights: null,
};

/** An id of 52 characters that begins with `head`. */
export const id_of = (head) => head.padEnd(52, "a");

/** A model that costs nothing. */
export const model = (id, more = {}) => ({ id, context: 32768, detail: "8-bit", tokens_per_s: 84, price: ["0", "0"], ...more });

/** A provider that is online. */
export function provider(name, more = {}) {
  return {
    id: id_of(name.toLowerCase().replace(/[^a-z]/g, "")), handle: name.toLowerCase(), name, fingerprint: "abcdefghijklmnop", glyph: 9362,
    status: "online", waiting: 0, response_ms: 410, state: more.status ?? "online", first_ms: [410, 860], recent_first_ms: [430, 390, 520, 400, 410],
    tenth_tokens_per_s: 840, success: [991, 312], felt: null, measured: [4960, 312], place: null, why: null, blocked: false, max_concurrent: 4, heard_ms: Date.now() + 3_600_000, usable: true,
    models: [model("qwen3-14b")], key_changed_from: null, equivocated: false, confirmed: true,
    hides_ip: true, ...more,
  };
}

/** A message; an answer unless `role` says otherwise. */
export function message(id, more = {}) {
  return {
    id, role: "assistant", text: "", phase: "complete", code: null, retry_after: null, provider: id_of("fjord"), provider_name: "Fjord",
    model: "qwen3-14b", asked_ms: Date.now(), accept_ms: 90, first_ms: 410, total_ms: 3_400, tokens: [38, 264], finish: "stop", receipt: "valid",
    route: ["12D3KooWOut", "12D3KooWBack", false, false], why: null, asked: null, also_asked: null, begun_by: null, cuts: null, unit: null, open_until_ms: null, stars: null, ...more,
  };
}

/** Question and answer. */
export const exchange = (n, question, answer) => [message(`q${n}`, { role: "user", phase: "", text: question }), message(`a${n}`, answer)];

/** Opens a panel on what the background would tell first. */
export async function scripted(browser, { settings, network, providers, messages, conversations, free } = {}, viewport = { width: 400, height: 600 }) {
  const page = await browser.context.newPage();
  await page.setViewportSize(viewport);
  const open = messages ? { id: "c1", title: "A chat", messages } : null;
  const snapshot = {
    is: "snapshot", settings: { ...SETTINGS, ...settings },
    network: { state: "connected", next_try_s: null, nodes: [], clock_off_s: null, discovery_ms: 900, ...network },
    providers: providers ?? [provider("Fjord"), provider("Kestrel")],
    conversations: conversations ?? (open ? [{ id: "c1", title: "A chat", changed_ms: Date.now(), messages: messages.length, pinned: false }] : []), open, free: free ?? null,
  };
  await page.addInitScript(script, JSON.stringify(snapshot));
  await page.goto(`chrome-extension://${browser.id}/panel.html?view=panel`);
  await page.locator('[data-testid="app"][data-loaded="true"]').waitFor({ timeout: 30_000 });
  return {
    page,
    at: (id) => page.locator(`[data-testid="${id}"]`),
    /** Everything ordered so far. */
    orders: () => page.evaluate(() => globalThis.ordered),
    tell: (update) => page.evaluate((text) => globalThis.tell(text), JSON.stringify(update)),
  };
}

/** Runs in the page before its own scripts. */
function script(snapshot) {
  globalThis.ordered = [];
  const listeners = [];
  globalThis.tell = (text) => listeners.forEach((listen) => listen(text));
  const port = {
    onMessage: { addListener: (listen) => listeners.push(listen) },
    onDisconnect: { addListener() {} },
    disconnect() {},
    postMessage(text) {
      const order = JSON.parse(text);
      globalThis.ordered.push(order);
      if (order.do === "hello") setTimeout(() => globalThis.tell(snapshot), 0);
    },
  };
  chrome.runtime.connect = () => port;
  chrome.runtime.sendMessage = async () => ({});
}
