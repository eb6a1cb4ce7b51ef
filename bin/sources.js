/**
 * Whether a checkout is as it was when what is made of its sources was last seen to be current. Plain JavaScript, since loading what
 * takes types out of TypeScript takes longer than looking at all files.
 */
const { readdirSync, statSync, utimesSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");

const folders = ["src", "tools"];
/** A file in `dist/bundle`, so that it goes with what it speaks of; its time is that of the look. */
const mark = "dist/bundle/seen";

/** `root`: the checkout. */
function isAsSeen(root) {
  const seen = statSync(join(root, mark), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return folders.every((name) => isOlder(join(root, name), seen));
}

/** All that is made of the sources is current, and they have not been changed since `begun`. */
function setSeen(root, begun) {
  const file = join(root, mark);
  writeFileSync(file, "");
  utimesSync(file, begun, begun);
}

/** Names alone, and each asked about: three times as fast as going from folder to folder. */
function isOlder(folder, time) {
  const names = readdirSync(folder, { recursive: true }).filter((name) => !name.endsWith(".test.ts"));
  return ["", ...names].every((name) => statSync(`${folder}/${name}`).mtimeMs < time);
}

module.exports = { isAsSeen, setSeen };
