export type { GuestMemory } from "./guest-memory.ts";
export { AddressSpace, type FrameSource, type Memslot } from "./address-space.ts";
export { Arena } from "./arena.ts";
export {
  arenaLayout,
  blockHeader,
  entryFlags,
  frameRecord,
  generateArenaLayout,
  maxVcpus,
  processFields,
  spaceFields,
} from "./arena-layout.ts";
