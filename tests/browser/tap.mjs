// What anybody on the network sees: a peer of the relay that takes part in every shard (worker/waku/examples/tap.rs),
// and the forms that a message of PAM/1 may have (protocol section 4).
import { join } from "node:path";
import { Ended, until } from "./extension.mjs";
import { Program } from "./market.mjs";

const FRAME = 512;
/** Type, suite, kid, the encapsulated key of MLKEM768-P256 and the AEAD's tag. */
const REQUEST_OVERHEAD = 1 + 1 + 8 + 1_153 + 16;

/** The smallest Padme length of at least `length`. */
function padme(length) {
  const exponent = Math.floor(Math.log2(length));
  const bits = Math.floor(Math.log2(exponent)) + 1;
  const mask = 2 ** (exponent - bits) - 1;
  return Math.floor((length + mask) / (mask + 1)) * (mask + 1);
}

/** Why a payload on a requests or responses topic is no envelope of an allowed size; nothing when it is one. */
export function refusal(topic, payload) {
  const end = topic.split("/").at(-1);
  if (end === "requests" && payload[0] === 0x01) {
    const plain = payload.length - REQUEST_OVERHEAD;
    if (payload[1] !== 2) return `suite ${payload[1]}`;
    return plain >= 2_048 && plain <= 147_456 && padme(plain) === plain ? undefined : `a request of ${payload.length} bytes`;
  }
  if (end === "requests" && payload[0] === 0x03) {
    return payload.length === 1 + FRAME ? undefined : `a control frame of ${payload.length} bytes`;
  }
  if (end === "responses" && payload[0] === 0x81) {
    const frames = (payload.length - 1) / FRAME;
    return [1, 2, 4, 8, 16, 32, 64].includes(frames) ? undefined : `a bundle of ${payload.length} bytes`;
  }
  return `first byte ${payload[0]} on a topic of ${end}`;
}

/** Listens to a market's whole relay. */
export class Tap {
  static async open(market) {
    if (!process.env.TAP) throw new Error("TAP names no program; run this by `cargo xtask test browser`");
    const network = JSON.parse(Buffer.from(market.invite.replace(/^pam1:/, ""), "base64url").toString());
    const nodes = market.workers.flatMap((worker) => worker.facts.addresses).filter((address) => !address.includes("/ws"));
    const tap = new Tap();
    const shards = network.shards.length ?? network.shards;
    tap.program = new Program(process.env.TAP, [`${network.cluster}`, `${shards}`, ...nodes], {
      log: join(market.folder, "tap.log"),
      whole: true,
    });
    await until("the relay takes the tap in", () => {
      if (tap.program.end) throw new Ended(tap.program.lastWords());
      return (tap.program.out.match(/^subscribed/gm) ?? []).length >= shards * nodes.length;
    });
    return tap;
  }

  /** Every message so far: `{topic, payload, bytes}`. */
  messages() {
    return this.program.out.split("\n").filter((line) => line.startsWith("message ")).map((line) => {
      const bytes = Buffer.from(line.split(" ")[2], "hex");
      const fields = decode(bytes);
      return { bytes, topic: fields.get(2)?.toString() ?? "", payload: fields.get(1) ?? Buffer.alloc(0) };
    });
  }

  close() {
    return this.program.stop();
  }
}

/** The length-delimited fields of a protobuf message. */
function decode(bytes) {
  const fields = new Map();
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[at];
      at += 1;
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const kind = key & 7;
    if (kind === 0) varint();
    else if (kind === 1) at += 8;
    else if (kind === 5) at += 4;
    else if (kind === 2) {
      const length = varint();
      fields.set(Math.floor(key / 8), bytes.subarray(at, at + length));
      at += length;
    } else throw new Error(`wire type ${kind}`);
  }
  return fields;
}
