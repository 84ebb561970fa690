// What the transport uses of js-waku; esbuild bundles it. Only the background's host loads it.
export { createDecoder, createEncoder, createLightNode } from "@waku/sdk";
