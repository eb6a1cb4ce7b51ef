export type { GuestMemory } from "./guest-memory.ts";
export { arenaLayout, blockHeader, entryFlags, frameRecord, generateArenaLayout, processFields, spaceFields } from "./arena-layout.ts";
