export { readOwner, readSnapshot, type Snapshot, type SnapshotOwner } from "./restore.ts";
export { type SavedSnapshot, type SnapshotBase, type SnapshotSink, writeSnapshot } from "./save.ts";
export { LiveSnapshot } from "./live.ts";
export { type Flattened, flattenSnapshot } from "./flatten.ts";
export type { SnapshotReader } from "./pages.ts";
export { learnWarmth, type WarmthOf, warmUp } from "./warmth.ts";
export { SnapshotError, type SnapshotSource } from "./format.ts";
