// The service worker (Chromium) or event page (Firefox). It holds no text and no lasting key: it keeps the background's
// host alive and, in Chromium, lends it `chrome.storage.session`, which an offscreen document does not have.

const HEARTBEAT_MS = 20_000; // Firefox ends an event page after 30 s without an API call.
const ALARM_MINUTES = 0.5; // Chromium's shortest; a provider lingers 60 s (protocol section 5.6).

const offscreen = Boolean(chrome.offscreen);
let host;

function ensure() {
  host ??= (offscreen ? openDocument() : import("./host.js")).finally(() => {
    if (offscreen) host = undefined;
  });
  return host;
}

async function openDocument() {
  const open = await chrome.runtime.getContexts({ contextTypes: ["OFFSCREEN_DOCUMENT"] });
  if (open.length > 0) return;
  await chrome.offscreen.createDocument({
    url: "offscreen.html",
    reasons: ["WORKERS"],
    justification: "Keeps the connection to the Waku network and seals and opens messages.",
  });
}

if (!offscreen) {
  setInterval(() => chrome.runtime.getPlatformInfo(), HEARTBEAT_MS);
  chrome.runtime.onConnect.addListener((port) => {
    const early = [];
    const keep = (message) => early.push(message);
    port.onMessage.addListener(keep);
    ensure().then((module) => {
      port.onMessage.removeListener(keep);
      module.connect(port, early);
    });
  });
}

chrome.runtime.onInstalled.addListener(() => ensure());
chrome.runtime.onStartup.addListener(() => ensure());
chrome.alarms.create("ensure", { periodInMinutes: ALARM_MINUTES });
chrome.alarms.onAlarm.addListener(() => ensure());

chrome.runtime.onMessage.addListener((message, sender, reply) => {
  if (sender.id !== chrome.runtime.id || message?.to !== "bg") return false;
  const answer = (work) => {
    work.then((value) => reply({ value }), (error) => reply({ error: String(error) }));
    return true;
  };
  switch (message.kind) {
    case "ensure":
      return answer(ensure().then(() => true));
    case "mirror":
      return answer(chrome.storage.session.set({ [message.key]: message.value }));
    case "unmirror":
      return answer(chrome.storage.session.remove(message.key));
    case "mirrored":
      return answer(chrome.storage.session.get(null));
    default:
      return false;
  }
});

chrome.commands.onCommand.addListener((command, tab) => {
  if (command !== "open-panel") return;
  if (chrome.sidePanel) chrome.sidePanel.open({ windowId: tab.windowId });
  else chrome.sidebarAction?.toggle();
});

ensure();
