export type { GuestMemory } from "./guest-memory.ts";
