// A part of js-waku that runs before the rest of it: see host.js.
export * from "@waku/core";
