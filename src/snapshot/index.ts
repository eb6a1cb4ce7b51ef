export { readOwner, readSnapshot, type Snapshot } from "./restore.ts";
export { type SavedSnapshot, type SnapshotBase, type SnapshotSink, SnapshotWriter, writeSnapshot } from "./save.ts";
export type { SnapshotReader } from "./pages.ts";
export { learnWarmth, type WarmthOf, warmUp } from "./warmth.ts";
export { SnapshotError, type SnapshotSource } from "./format.ts";
