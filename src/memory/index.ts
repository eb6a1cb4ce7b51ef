export type { GuestMemory } from "./guest-memory.ts";
export type { ArenaRange, DeviceMemory, GuestRange, Pinned } from "./device-memory.ts";
export { AddressSpace, type FrameSource, type Memslot, plugBytes } from "./address-space.ts";
export type { DirtyLog, DirtyRing, DirtyRingHarvest, DirtyTracker } from "./dirty-log.ts";
export { type Discard, FreeFrames, type FreeFrameStats, type FreeLists, freeFrames } from "./free-frames.ts";
export { oldestAge, PageAges } from "./page-ages.ts";
export { Reclaimer, type ReclaimOptions, type ReclaimStats } from "./reclaim.ts";
export { atLeast, type Pressure, PressureGauge, pressures, worse } from "./pressure.ts";
export { PageSet } from "./page-set.ts";
export { Arena, ArenaError } from "./arena.ts";
export { Ahead, aheadBytes, Toucher } from "./ahead.ts";
export { ArenaKernels, type PageKernels } from "./page-kernels.ts";
export { type MemoryObject, MemoryObjectError, type MemoryObjectStats } from "./backends/memory-object.ts";
export { farService, fileOf, type MemoryBacking, type RemoteBacking, remoteOf } from "./backing.ts";
export { type MemoryServices, newMemoryObject } from "./backends/new-object.ts";
export type { MemoryFile } from "./backends/file.ts";
export type { PageCipher } from "./backends/encrypted.ts";
export type { FarLine } from "./backends/remote/line.ts";
export type { SharedStore } from "./backends/shared.ts";
export { OverlayPages } from "./backends/overlay.ts";
export { KeptPages, type KeptStats } from "./backends/kept-pages.ts";
export { type PageFile, PersistentPages } from "./backends/persistent.ts";
export {
  arenaLayout,
  blockHeader,
  blockSize,
  numberMap,
  numbersPlace,
  placeBytes,
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
  translationNumbers,
  translationsOf,
} from "./arena-layout.ts";
export {
  lifted,
  lifterFields,
  lifterOperations,
  modrmFlags,
  opcodeFlags,
  templateFields,
  templateNumbers,
  templatePlaces,
} from "./lifter-layout.ts";
