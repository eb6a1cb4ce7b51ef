/** What a snapshot remembers of its machine's options: all that a machine like it needs, and no bytes of files. */
import type { Value } from "#base";
import type { SnapshotOwner } from "#snapshot";
import { knownOptions } from "./check-options.ts";
import { type RestoreOptions, VmError, type VmOptions } from "./vm-api.ts";

/** Of the machine that was saved, not of what is saved. */
const passing = [
  "timeoutMs",
  "memoryBacking",
  "reclaim",
  "memoryLimitBytes",
  "trace",
  "profile",
  "snapshot",
  "learn",
  "learnt",
  "key",
  "interpreterOnly",
  "hotThreshold",
  "chaosSeed",
  "evictionSeed",
  "without",
];

/** Files that were given by name are found again by it; bytes are not kept. */
export function rememberedOf(options: VmOptions): Value {
  const disks = options.disks?.map(({ saved: _, ...disk }) => disk);
  const kept = Object.entries({ ...options, ...(disks && { disks }) }).filter(
    ([name, value]) => !passing.includes(name) && isPlain(value),
  );
  return Object.fromEntries(kept) as Value;
}

/** Options for a machine that goes on from `snapshot`. Throws VmError where the snapshot does not say what it was. */
export function recallOptions({ owner, disks }: SnapshotOwner, snapshot: string, changes: RestoreOptions): VmOptions {
  if (typeof owner !== "object" || Array.isArray(owner) || owner instanceof Uint8Array)
    throw new VmError("snapshot", `${snapshot}: the snapshot does not say how its machine was started`);
  // A newer build may have remembered more.
  const options = knownOptions(owner);
  const saved = options.disks?.map((disk, n) => ({ ...disk, ...(disks[n] && { saved: disks[n] }) }));
  return { ...options, ...(saved && { disks: saved }), ...changes, snapshot };
}

/**
 * Options for a machine that goes on as one with `options` does, at its side. Where it has disks a reset ends it: what it writes to is nowhere
 * but in the overlay of its one life.
 */
export function forkedOptions(options: VmOptions, changes: RestoreOptions): VmOptions {
  const { kernel, ...kept } = rememberedOf(options) as Partial<VmOptions>;
  const boots = (options.disks?.length ?? 0) === 0 && kernel !== undefined;
  return { ...kept, ...(boots && { kernel }), ...changes };
}

/** Whether a machine with these changes cannot run on the engine of the one that it goes on as. */
export function changesEngine(options: RestoreOptions): boolean {
  const { profile, interpreterOnly, chaosSeed, evictionSeed, without, memoryBacking } = options;
  return [profile, interpreterOnly, chaosSeed, evictionSeed, without, memoryBacking].some(
    (change) => change !== undefined,
  );
}

/** Numbers, texts, and lists and records of them. */
function isPlain(value: unknown): boolean {
  if (["number", "string", "boolean"].includes(typeof value)) return true;
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return false;
  return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype
    ? Object.values(value).every(isPlain)
    : false;
}
