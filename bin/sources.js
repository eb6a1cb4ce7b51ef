/**
 * Whether a checkout is as it was when what is made of its sources was last seen to be current. Plain JavaScript, since loading what
 * takes types out of TypeScript takes longer than looking at all files.
 */
import { readdirSync, statSync, utimesSync, writeFileSync } from "node:fs";

const folders = ["src", "tools"];
/** A file in `dist/bundle`, so that it goes with what it speaks of; its time is that of the look. */
const mark = "dist/bundle/seen";

/** `root`: URL of the checkout. */
export function isAsSeen(root) {
  const seen = statSync(new URL(mark, root), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return folders.every((name) => isOlder(new URL(`${name}/`, root), seen));
}

/** All that is made of the sources is current, and they have not been changed since `begun`. */
export function setSeen(root, begun) {
  const file = new URL(mark, root);
  writeFileSync(file, "");
  utimesSync(file, begun, begun);
}

function isOlder(folder, time) {
  if (statSync(folder).mtimeMs >= time) return false;
  return readdirSync(folder, { withFileTypes: true }).every((entry) =>
    entry.isDirectory()
      ? isOlder(new URL(`${entry.name}/`, folder), time)
      : entry.name.endsWith(".test.ts") || statSync(new URL(entry.name, folder)).mtimeMs < time,
  );
}
