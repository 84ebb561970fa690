// What must not outlive this process, however it ends: the programs that it started and its temporary folders.
import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import process from "node:process";

const running = new Set();
const folders = new Set();
let orphaned = false;

function leave_nothing() {
  for (const child of running) child.kill("SIGKILL");
  // What was just killed may still finish a write.
  for (const folder of folders) remove_now(folder);
  // A task that was killed cannot remove the folder that it gave to its children.
  if (orphaned && /^privacyai-\d+$/.test(basename(tmpdir()))) remove_now(tmpdir());
}

function remove_now(folder) {
  try {
    rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  } catch (error) {
    console.error(`${folder} is left: ${error.message}`);
  }
}

process.on("exit", leave_nothing);
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(name, () => process.exit(130));
if (process.env.PRIVACYAI_PARENT) {
  // The pipe ends with the task that started this, however it ended.
  process.stdin.on("end", () => {
    orphaned = true;
    process.exit(130);
  }).resume();
}

/** This program is killed when this process ends before it does. */
export function end_with_me(child) {
  running.add(child);
  child.on("exit", () => running.delete(child));
  child.on("error", () => running.delete(child));
}

/** To be called after a browser was started: its driver kills it at the exit, and folders are removed after that. */
export function end_last() {
  process.off("exit", leave_nothing);
  process.on("exit", leave_nothing);
}

/** A new temporary folder, for `remove`. */
export async function temporary(name) {
  const folder = await mkdtemp(join(tmpdir(), `privacyai-${name}-`));
  if (!process.env.KEEP_MARKET) folders.add(folder);
  return folder;
}

/** Removes a temporary folder. */
export async function remove(folder) {
  if (process.env.KEEP_MARKET) return;
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  folders.delete(folder);
}
