// Loads the one wasm and shows the panel in it: popup, side panel and tab alike.
import init, { run_panel } from "./app.js";

// A popup has a size of its own; side panel and tab take what they get.
document.documentElement.dataset.view = new URLSearchParams(location.search).get("view") ?? "tab";

init({ module_or_path: chrome.runtime.getURL("app_bg.wasm") }).then(run_panel, (error) => {
  const note = document.createElement("div");
  note.setAttribute("role", "alert");
  note.style.padding = "16px";
  note.dataset.testid = "not-started";
  const say = (tag, text, parent = note) => parent.appendChild(Object.assign(document.createElement(tag), { textContent: text }));
  if (typeof WebAssembly === "undefined") {
    say("p", "WebAssembly is switched off in this browser; nothing can be sealed.");
    const how = say("details", "");
    say("summary", "How to turn on", how);
    say("p", "Chromium, Chrome, Edge, Brave: allow JavaScript optimisation under Settings, Privacy and security, Site settings, and start the browser without --jitless. Firefox: set javascript.options.wasm to true in about:config. Then open this panel again.", how);
  } else {
    say("p", `PrivacyAI could not start: ${error}. Reload the extension and open this panel again.`);
  }
  document.body.replaceChildren(note);
});
