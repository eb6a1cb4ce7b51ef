export { readSnapshot, type Snapshot } from "./restore.ts";
export { type SavedSnapshot, type SnapshotSink, writeSnapshot } from "./save.ts";
export { SnapshotError, type SnapshotSource } from "./format.ts";
