// Runs the background of the one wasm. A port opened while it still loads keeps its messages until it runs.
import init, { accept_panel, run_background } from "./app.js";

// js-waku is a megabyte of script: panels need not wait for it, only the first dial does.
let waku;
const node = { createLightNode: async (options) => (await (waku ??= import("./waku.js"))).createLightNode(options) };

const ready = init({ module_or_path: chrome.runtime.getURL("app_bg.wasm") }).then(() => run_background(node));

export function connect(port, early = []) {
  const keep = (message) => early.push(message);
  port.onMessage.addListener(keep);
  ready.then(() => {
    port.onMessage.removeListener(keep);
    accept_panel(port, early);
  });
}
