// The offscreen document: Chromium's host of the background.
import { connect } from "./host.js";

chrome.runtime.onConnect.addListener((port) => connect(port));
