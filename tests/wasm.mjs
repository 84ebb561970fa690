// Runs the golden vectors' check, compiled to wasm32, in Node. Its argument is the module that wasm-bindgen wrote.
import { createRequire } from "node:module";

const { check_vectors } = createRequire(import.meta.url)(process.argv[2]);
try {
  for (const [index, name] of check_vectors().trim().split("\n").entries()) console.log(`ok ${index + 1} - ${name} on wasm32`);
} catch (error) {
  console.log(`not ok 1 - ${error}`);
  process.exitCode = 1;
}
