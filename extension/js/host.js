// Runs the background of the one wasm. A port opened while it still loads keeps its messages until it runs.
import init, { accept_panel, run_background } from "./app.js";

// js-waku is a megabyte of script: panels need not wait for it, only the first dial does. They share this thread, so each
// part of it runs in a task of its own; all at once it would hold them for 50 ms.
let waku;
const node = { createLightNode: async (options) => (await (waku ??= load())).createLightNode(options) };

async function load() {
  for (const part of ["./waku-libp2p.js", "./waku-core.js"]) {
    await import(part);
    await new Promise((done) => setTimeout(done));
  }
  return import("./waku.js");
}

const ready = init({ module_or_path: chrome.runtime.getURL("app_bg.wasm") }).then(() => run_background(node));

export function connect(port, early = []) {
  const keep = (message) => early.push(message);
  port.onMessage.addListener(keep);
  ready.then(() => {
    port.onMessage.removeListener(keep);
    accept_panel(port, early);
  });
}
