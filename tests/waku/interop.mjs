// An unmodified js-waku light client against our service nodes. Run by worker/waku/tests/interop.rs, which answers the
// lines on stdout that begin with "do " and hands over what this file cannot know:
//
//   node tests/waku/interop.mjs CLUSTER WS_ADDRESS_1 WS_ADDRESS_2
//
// Prints one "ok" or "not ok" line for each check and exits with 1 when one failed.

import process from "node:process";

// js-libp2p needs it and Node has it from version 22.
Promise.withResolvers ??= () => {
  let resolve, reject;
  const promise = new Promise((yes, no) => ((resolve = yes), (reject = no)));
  return { promise, resolve, reject };
};
const { createLightNode, createEncoder, createDecoder, Protocols } = await import("@waku/sdk");
const { yamux } = await import("@chainsafe/libp2p-yamux");

const [cluster, first, second] = process.argv.slice(2);
const clusterId = Number(cluster);
const shardId = 0;
const DEADLINE = 30_000;
let failed = 0;

async function check(name, body) {
  const start = performance.now();
  try {
    const note = await body();
    console.log(`ok ${name} (${Math.round(performance.now() - start)} ms${note ? `; ${note}` : ""})`);
  } catch (error) {
    failed += 1;
    console.log(`not ok ${name}: ${error.message}`);
  }
}

function expect(holds, what) {
  if (!holds) throw new Error(what);
}

async function until(what, holds) {
  const end = Date.now() + DEADLINE;
  while (!(await holds())) {
    expect(Date.now() < end, `not in time: ${typeof what === "function" ? what() : what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const text = (bytes) => new TextDecoder().decode(bytes);
const bytes = (string) => new TextEncoder().encode(string);
const topicOf = (name) => `/interop/v1/providers/${name}/requests`;
const routing = { clusterId, shardId, pubsubTopic: `/waku/2/rs/${clusterId}/${shardId}` };
const encoderOf = (contentTopic, ephemeral = false) => createEncoder({ contentTopic, routingInfo: routing, ephemeral });

// js-waku knows a subscription by its decoder object: another one for the same topic ends nothing.
const decoders = new Map();
function decoderOf(contentTopic) {
  if (!decoders.has(contentTopic)) decoders.set(contentTopic, createDecoder(contentTopic, routing));
  return decoders.get(contentTopic);
}

async function lightNode(addresses, cluster = clusterId, libp2p = {}) {
  const node = await createLightNode({
    defaultBootstrap: false,
    networkConfig: { clusterId: cluster },
    libp2p: { filterMultiaddrs: false, hideWebSocketInfo: true, ...libp2p },
  });
  await node.start();
  for (const address of addresses) await node.dial(address);
  return node;
}

async function readyNode(addresses, libp2p) {
  const node = await lightNode(addresses, clusterId, libp2p);
  await node.waitForPeers([Protocols.LightPush, Protocols.Filter, Protocols.Store], DEADLINE);
  return node;
}

/** Subscribes and returns the list that received payloads go to. */
async function subscribed(node, contentTopic) {
  const received = [];
  await until(`subscription to ${contentTopic}`, () =>
    node.filter.subscribe(decoderOf(contentTopic), (message) => received.push(message)),
  );
  return received;
}

function push(node, contentTopic, payload, ephemeral = false) {
  return node.lightPush.send(encoderOf(contentTopic, ephemeral), { payload, timestamp: new Date() }, { autoRetry: false });
}

async function pushed(node, contentTopic, payload, ephemeral) {
  await until("lightpush", async () => (await push(node, contentTopic, payload, ephemeral)).successes.length > 0);
}

async function stored(node, contentTopic, options = {}) {
  const pages = [];
  for await (const page of node.store.queryGenerator([decoderOf(contentTopic)], options)) {
    pages.push((await Promise.all(page)).filter(Boolean).map((message) => text(message.payload)));
  }
  return pages.filter((page) => page.length > 0);
}

const numbers = (count, prefix = "") => Array.from({ length: count }, (_, index) => `${prefix}${index}`);
const same = (left, right) => JSON.stringify(left) === JSON.stringify(right);
const order = (list) => list.map((message) => text(message.payload));

let a, b, both;
await check("light nodes connect and learn the cluster", async () => {
  a = await readyNode([first]);
  b = await readyNode([second]);
  both = await readyNode([first, second]);
  await until("two peers", () => both.libp2p.getPeers().length === 2);
});
if (failed > 0) process.exit(1);

await check("an own message comes back through filter", async () => {
  const received = await subscribed(a, topicOf("own"));
  await pushed(a, topicOf("own"), bytes("mine"));
  await until("message", () => received.length > 0);
  expect(same(order(received), ["mine"]), `got ${order(received)}`);
});

await check("a message crosses from the second node to the first", async () => {
  const received = await subscribed(a, topicOf("cross"));
  await pushed(b, topicOf("cross"), bytes("hello"));
  await until("message", () => received.length > 0);
  expect(same(order(received), ["hello"]), `got ${order(received)}`);
});

await check("a request is answered by a program at the node", async () => {
  const received = await subscribed(a, topicOf("answers"));
  const times = [];
  for (let round = 0; round < 30; round += 1) {
    const start = performance.now();
    await pushed(a, topicOf("echo"), bytes(`request ${round}`), true);
    await until("answer", () => received.length > round);
    times.push(performance.now() - start);
  }
  expect(same(order(received), numbers(30, "request ")), `got ${order(received)}`);
  times.sort((x, y) => x - y);
  return `p50 ${times[15].toFixed(1)} ms, worst ${times[29].toFixed(1)} ms`;
});

await check("120 pushes reach one subscriber, in order", async () => {
  const received = await subscribed(a, topicOf("many"));
  console.log(`do publish 120 ${topicOf("many")}`);
  await until(() => `120 messages, got ${received.length}`, () => received.length >= 120);
  expect(same(order(received), numbers(120)), "out of order or doubled");
});

await check("a client of both nodes hears each message once", async () => {
  const received = await subscribed(both, topicOf("twice"));
  console.log(`do publish 20 ${topicOf("twice")}`);
  await until("20 messages", () => received.length >= 20);
  await pushed(both, topicOf("twice"), bytes("own"));
  await until("the own message", () => order(received).includes("own"));
  // What would come twice comes before this one does.
  await pushed(b, topicOf("twice"), bytes("last"));
  await until("the last message", () => order(received).includes("last"));
  expect(same(order(received).sort(), [...numbers(20), "own", "last"].sort()), `got ${order(received)}`);
});

await check("64 lightpushes at once are all accepted", async () => {
  const results = await Promise.all(numbers(64).map((name) => push(a, topicOf("burst"), bytes(name))));
  const refused = results.flatMap((result) => result.failures.map((failure) => failure.error));
  expect(results.every((result) => result.successes.length === 1), `failures: ${refused.join(", ")}`);
});

await check("the store gives all pages, forward and backward", async () => {
  console.log(`do publish 25 ${topicOf("history")}`);
  const all = numbers(25);
  for (const node of [a, b]) {
    await until("history", async () => (await stored(node, topicOf("history"))).flat().length === 25);
    const forward = await stored(node, topicOf("history"), { paginationForward: true, paginationLimit: 10 });
    expect(same(forward, [all.slice(0, 10), all.slice(10, 20), all.slice(20)]), `forward ${JSON.stringify(forward)}`);
    const backward = await stored(node, topicOf("history"), { paginationForward: false, paginationLimit: 10 });
    expect(same(backward, [all.slice(15), all.slice(5, 15), all.slice(0, 5)]), `backward ${JSON.stringify(backward)}`);
  }
});

await check("the store answers times, hashes and unknown cursors", async () => {
  const now = Date.now();
  const future = { timeStart: new Date(now + 3_600_000), timeEnd: new Date(now + 3_700_000) };
  expect((await stored(a, topicOf("history"), future)).length === 0, "messages of the future");
  const recent = { timeStart: new Date(now - 600_000), timeEnd: new Date(now + 60_000), paginationForward: true };
  expect((await stored(a, topicOf("history"), recent)).flat().length === 25, "messages of the last minutes");
  let refused = "";
  await stored(a, topicOf("history"), { paginationCursor: new Uint8Array(32) }).catch((error) => (refused = error.message));
  expect(refused.includes("cursor not found"), `said ${refused}`);
});

await check("no store keeps an ephemeral message", async () => {
  const received = await subscribed(a, topicOf("ephemeral"));
  await pushed(a, topicOf("ephemeral"), bytes("gone"), true);
  await until("the ephemeral message", () => received.length === 1);
  await pushed(a, topicOf("ephemeral"), bytes("kept"));
  await until("the kept message", async () => (await stored(a, topicOf("ephemeral"))).flat().length > 0);
  expect(same((await stored(a, topicOf("ephemeral"))).flat(), ["kept"]), "stored more");
});

await check("100 KiB pass, 151 KiB do not", async () => {
  const received = await subscribed(b, topicOf("large"));
  const payload = new Uint8Array(100 * 1024).map((_, index) => index % 251);
  await pushed(a, topicOf("large"), payload);
  await until("the large message", () => received.length === 1);
  expect(same([...received[0].payload], [...payload]), "the payload changed");
  const result = await push(a, topicOf("large"), new Uint8Array(151 * 1024));
  expect(result.successes.length === 0 && result.failures.length > 0, "151 KiB were accepted");
  await pushed(a, topicOf("large"), bytes("still here"));
  await until("the next message", () => received.length === 2);
});

await check("an ended subscription is silent", async () => {
  const received = await subscribed(a, topicOf("ended"));
  await pushed(b, topicOf("ended"), bytes("before"));
  await until("the first message", () => received.length === 1);
  expect(await a.filter.unsubscribe(decoderOf(topicOf("ended"))), "unsubscribe failed");
  await pushed(b, topicOf("ended"), bytes("after"));
  const witness = await subscribed(a, topicOf("witness"));
  await pushed(b, topicOf("witness"), bytes("later"));
  await until("the witness", () => witness.length === 1);
  expect(received.length === 1, `got ${order(received)}`);
});

await check("a client that has yamux only is served the same", async () => {
  const node = await readyNode([first], { streamMuxers: [yamux()] });
  const muxers = node.libp2p.getConnections().map((connection) => connection.multiplexer);
  expect(same(muxers, ["/yamux/1.0.0"]), `speaks ${muxers}`);
  const received = await subscribed(node, topicOf("yamux"));
  await pushed(node, topicOf("yamux"), bytes("own"));
  await pushed(b, topicOf("yamux"), bytes("other"));
  await until("both messages", () => received.length === 2);
  const payload = new Uint8Array(100 * 1024).map((_, index) => index % 251);
  await pushed(node, topicOf("yamux"), payload);
  await until("the large message", () => received.length === 3);
  expect(same([...received[2].payload], [...payload]), "the payload changed");
  await until("history", async () => (await stored(node, topicOf("yamux"))).flat().length === 3);
  await node.stop();
});

await check("a client of another cluster is left", async () => {
  const stranger = await lightNode([first], clusterId + 1);
  await until("no peers", () => stranger.libp2p.getPeers().length === 0);
  await stranger.stop();
});

await Promise.all([a, b, both].map((node) => node.stop()));
process.exit(failed > 0 ? 1 : 0);
