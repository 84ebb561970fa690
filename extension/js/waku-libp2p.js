// A part of js-waku that runs before the rest of it: see host.js.
export { createLibp2p } from "libp2p";
