// What a block explorer needs to show the contracts' sources: for each contract the compiler's whole input
// (NAME.standard.json) and, in bundle.json, the compiler's version, where the contract is and what it was made with.
// Run by `cargo xtask contracts --bundle DIR`, after `FOUNDRY_PROFILE=gas forge build`:
//
//     node tools/bundle.mjs DIR [BROADCAST [RPC]]
//
// BROADCAST is what `forge script` wrote when it deployed (broadcast/Deploy.s.sol/CHAIN/run-latest.json). Every input is
// compiled anew: it must give the code that forge compiled, the code that BROADCAST's transactions carried, whose rest is
// the constructor's arguments, and the code that lies on the chain behind RPC.
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const solc = createRequire(import.meta.url)("solc");
const OUT = "out-gas";
const [folder, broadcast, rpc] = process.argv.slice(2);

const read = (file) => JSON.parse(readFileSync(file, "utf8"));
const fail = (why) => {
  console.error(`bundle: ${why}`);
  process.exit(1);
};

if (!folder) fail("name a folder: node tools/bundle.mjs DIR [BROADCAST [RPC]]");
const deployed = broadcast ? creations(read(broadcast)) : [];
mkdirSync(folder, { recursive: true });
const bundle = [];
for (const name of contracts()) {
  const artifact = read(join(OUT, `${name}.sol`, `${name}.json`));
  const source = `src/${name}.sol`;
  const alone = reduced(artifact);
  const made = compile(alone, source, name);
  if (`0x${made.evm.bytecode.object}` !== artifact.bytecode.object) fail(`${name}: its own sources give other code`);
  writeFileSync(join(folder, `${name}.standard.json`), `${JSON.stringify(alone, null, 2)}\n`);
  const entry = { contract: `${source}:${name}`, input: `${name}.standard.json`, compiler: `v${version()}` };
  const places = deployed.filter((one) => one.name === name);
  for (const { address, code } of places.length ? places : [{}]) {
    if (!address) {
      bundle.push(entry);
      continue;
    }
    if (!code.startsWith(artifact.bytecode.object)) fail(`${name}: ${address} was made with other code`);
    if (rpc) await compare(name, address, made.evm.deployedBytecode);
    bundle.push({ ...entry, address, constructor_arguments: `0x${code.slice(artifact.bytecode.object.length)}` });
  }
}
for (const { name } of deployed) {
  if (!bundle.some(({ contract, address }) => address && contract.endsWith(`:${name}`))) fail(`${name} was deployed and is no contract here`);
}
writeFileSync(join(folder, "bundle.json"), `${JSON.stringify({ chain: broadcast && read(broadcast).chain, contracts: bundle }, null, 2)}\n`);
const checked = deployed.length === 0 ? "forge's" : rpc ? "forge's, the deployment's and the chain's" : "forge's and the deployment's";
console.log(`${bundle.length} contracts in ${folder}; compiled anew, each gives ${checked} code`);

/** The contracts of src/ that have code; interfaces and abstract ones have none. */
function contracts() {
  const files = readdirSync("src").filter((file) => file.endsWith(".sol")).map((file) => file.slice(0, -4));
  return files.filter((name) => {
    try {
      return read(join(OUT, `${name}.sol`, `${name}.json`)).bytecode.object !== "0x";
    } catch (error) {
      if (error.code === "ENOENT") return fail(`${name} is not compiled: FOUNDRY_PROFILE=gas forge build`);
      throw error;
    }
  });
}

/** The input of one contract alone: the sources and settings that its metadata names. */
function reduced(artifact) {
  const sources = {};
  for (const path of Object.keys(artifact.metadata.sources)) sources[path] = { content: readFileSync(path, "utf8") };
  const { compilationTarget: _, ...settings } = artifact.metadata.settings;
  const outputSelection = { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode", "metadata"] } };
  return { language: "Solidity", sources, settings: { ...settings, outputSelection } };
}

function compile(standard, source, name) {
  const output = JSON.parse(solc.compile(JSON.stringify(standard)));
  const error = output.errors?.find(({ severity }) => severity === "error");
  if (error) fail(`${name}: ${error.formattedMessage}`);
  return output.contracts[source][name];
}

function version() {
  return solc.version().replace(".Emscripten.clang", "");
}

/** What a broadcast made, by itself or from within. */
function creations({ transactions }) {
  const made = [];
  for (const { transactionType, contractName, contractAddress, transaction, additionalContracts } of transactions) {
    if (transactionType === "CREATE") made.push({ name: contractName, address: contractAddress, code: transaction.input });
    for (const { contractName: name, address, initCode } of additionalContracts ?? []) {
      if (name) made.push({ name, address, code: initCode });
    }
  }
  return made;
}

/** The code of the chain; what its constructor wrote into it is left out. */
async function compare(name, address, { object, immutableReferences }) {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_getCode", params: [address, "latest"] });
  const answer = await fetch(rpc, { method: "POST", headers: { "content-type": "application/json" }, body });
  const { result, error } = await answer.json();
  if (error) fail(`${name}: ${error.message}`);
  const blank = (code) => {
    const bytes = Buffer.from(code, "hex");
    for (const { start, length } of Object.values(immutableReferences ?? {}).flat()) bytes.fill(0, start, start + length);
    return bytes.toString("hex");
  };
  if (blank(result.slice(2)) !== blank(object)) fail(`${name}: other code lies at ${address}`);
}
