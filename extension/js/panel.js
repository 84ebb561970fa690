// Loads the one wasm and shows the panel in it: popup, side panel and tab alike.
import init, { run_panel } from "./app.js";

// A popup has a size of its own; side panel and tab take what they get.
document.documentElement.dataset.view = new URLSearchParams(location.search).get("view") ?? "tab";

init({ module_or_path: chrome.runtime.getURL("app_bg.wasm") }).then(run_panel, (error) => {
  const note = document.createElement("p");
  note.setAttribute("role", "alert");
  note.style.padding = "16px";
  note.textContent =
    typeof WebAssembly === "undefined"
      ? "WebAssembly is switched off in this browser. PrivacyAI seals your words with it: switch it on and open this panel again."
      : `PrivacyAI could not start: ${error}. Reload the extension and open this panel again.`;
  document.body.replaceChildren(note);
});
