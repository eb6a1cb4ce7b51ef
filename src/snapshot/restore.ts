/** A machine read from a snapshot: its state at once, its pages when they are wanted. */
import type { Value } from "#base";
import type { SavedDisk } from "#devices";
import type { MachineState, Resume } from "#vm";
import { openDescription, openSnapshot, SnapshotError, type SnapshotSource } from "./format.ts";
import { SnapshotPages, SnapshotReader } from "./pages.ts";

export interface Snapshot {
  readonly resume: Resume;
  /** As given to `writeSnapshot`. */
  readonly owner: Value;
  readonly pages: SnapshotReader;
}

/** A chain of bases is not longer. */
const longestChain = 64;

/** Throws `SnapshotError` for a file that is no snapshot, or a damaged one, or lacks the base it was saved with. */
export function readSnapshot(source: SnapshotSource): Snapshot {
  const opened = openSnapshot(source);
  const { machine, owner } = opened.description as { machine?: Value; owner?: Value };
  if (!isState(machine)) throw new SnapshotError(`${source.name}: the snapshot does not describe a machine`);
  const pages = new SnapshotReader(source, opened, openBase(source, opened.description, longestChain));
  return {
    resume: {
      state: machine as unknown as MachineState,
      memory: (kernels) => new SnapshotPages(pages, kernels),
      header: opened.header,
    },
    owner: owner ?? {},
    pages,
  };
}

/** The snapshot that this one lacks pages of. */
function openBase(source: SnapshotSource, description: Value, mostBases: number): SnapshotReader | undefined {
  const { base } = description as { base?: { name: string; header: Uint8Array } };
  if (base === undefined) return undefined;
  if (mostBases === 0)
    throw new SnapshotError(`${source.name}: it has more than ${longestChain} bases, or itself among them`);
  if (source.open === undefined) throw new SnapshotError(`${source.name}: it lacks its base ${base.name}`);
  const below = openOr(source, base.name);
  const opened = openSnapshot(below);
  if (!sameBytes(opened.header, base.header))
    throw new SnapshotError(`${source.name}: ${below.name} is not the base that it was saved with`);
  return new SnapshotReader(below, opened, openBase(below, opened.description, mostBases - 1));
}

function openOr(source: SnapshotSource, name: string): SnapshotSource {
  try {
    return source.open?.(name) as SnapshotSource;
  } catch (error) {
    throw error instanceof SnapshotError
      ? new SnapshotError(`${source.name}: its base cannot be read: ${error.message}`)
      : error;
  }
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, n) => byte === b[n]);

export interface SnapshotOwner {
  /** As given to `writeSnapshot`. */
  readonly owner: Value;
  /** One for each disk of the machine. */
  readonly disks: readonly SavedDisk[];
}

/** Throws as `readSnapshot` does, as far as it reads. */
export function readOwner(source: SnapshotSource): SnapshotOwner {
  const { owner, disks } = openDescription(source).description as { owner?: Value; disks?: readonly SavedDisk[] };
  return { owner: owner ?? {}, disks: (disks ?? []).map((disk) => ({ ...disk, snapshot: source.name })) };
}

/** That the parts are there; whether they fit is for their owners to say. */
function isState(value: Value | undefined): boolean {
  const state = value as Partial<Record<keyof MachineState, unknown>> | undefined;
  return (
    typeof state?.memoryBytes === "number" &&
    typeof state.timeNs === "number" &&
    Array.isArray(state.vcpus) &&
    Array.isArray(state.msrs) &&
    typeof state.devices === "object"
  );
}
