// Runs the background of the one wasm. A port opened while it still loads keeps its messages until it runs.
import init, { accept_panel, run_background } from "./app.js";
import * as waku from "./waku.js";

const ready = init({ module_or_path: chrome.runtime.getURL("app_bg.wasm") }).then(() => run_background(waku));

export function connect(port, early = []) {
  const keep = (message) => early.push(message);
  port.onMessage.addListener(keep);
  ready.then(() => {
    port.onMessage.removeListener(keep);
    accept_panel(port, early);
  });
}
