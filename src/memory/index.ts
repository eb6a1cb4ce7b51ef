export type { GuestMemory } from "./guest-memory.ts";
export type { ArenaRange, DeviceMemory, GuestRange, Pinned } from "./device-memory.ts";
export { AddressSpace, type Backing, type FrameSource, type Memslot } from "./address-space.ts";
export type { DirtyLog, DirtyRing, DirtyRingHarvest, DirtyTracker } from "./dirty-log.ts";
export { PageSet } from "./page-set.ts";
export { Arena, ArenaError } from "./arena.ts";
export {
  arenaLayout,
  blockHeader,
  entryFlags,
  frameRecord,
  generateArenaLayout,
  maxThreads,
  maxVcpus,
  processFields,
  regionRecord,
  regionRecords,
  spaceFields,
  type Translations,
  translationsOf,
} from "./arena-layout.ts";
