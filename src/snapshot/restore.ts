/** A machine read from a snapshot: its state at once, its pages when they are wanted. */
import type { Value } from "#base";
import type { MachineState, Resume } from "#vm";
import { openDescription, openSnapshot, SnapshotError, type SnapshotSource } from "./format.ts";
import { SnapshotPages, SnapshotReader } from "./pages.ts";

export interface Snapshot {
  readonly resume: Resume;
  /** As given to `writeSnapshot`. */
  readonly owner: Value;
  readonly pages: SnapshotReader;
}

/** Throws `SnapshotError` for a file that is no snapshot, or a damaged one. */
export function readSnapshot(source: SnapshotSource): Snapshot {
  const opened = openSnapshot(source);
  const { machine, owner } = opened.description as { machine?: Value; owner?: Value };
  if (!isState(machine)) throw new SnapshotError(`${source.name}: the snapshot does not describe a machine`);
  const pages = new SnapshotReader(source, opened);
  return {
    resume: { state: machine as unknown as MachineState, memory: (kernels) => new SnapshotPages(pages, kernels) },
    owner: owner ?? {},
    pages,
  };
}

/** What was given to `writeSnapshot`. Throws as `readSnapshot` does, as far as it reads. */
export function readOwner(source: SnapshotSource): Value {
  const { owner } = openDescription(source).description as { owner?: Value };
  return owner ?? {};
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
