/**
 * Guest-physical memory as a device that masters the bus sees it: besides copies, the single words of rings.
 *
 * Words are read and written atomically and in the program's order, since a vCPU on another thread looks at them meanwhile.
 * Law: a store marks its page dirty and invalidates code translated from it, like a store of the guest.
 */
import type { Gfn, Gpa, Hpa } from "#address";
import type { GuestMemory } from "./guest-memory.ts";

/** Some bytes of guest-physical memory, one after the other. */
export interface GuestRange {
  readonly gpa: Gpa;
  readonly length: number;
}

/** Bytes in the arena, one after the other: where a thread of the host finds them. */
export interface ArenaRange {
  readonly hpa: Hpa;
  readonly length: number;
}

/** Guest memory that somebody else reads or writes: its frames stay what they are until `release`. */
export interface Pinned {
  /** In the order of the guest's ranges; neighbours in the arena are one. */
  readonly pieces: readonly ArenaRange[];
  /** Requires: nobody touches the pieces any more. */
  release(): void;
}

export interface DeviceMemory extends GuestMemory {
  /** Whether all `length` bytes from `gpa` on are RAM. Takes some steps for each 4 MiB, no more. */
  isRam(gpa: Gpa, length: number): boolean;
  /** Requires: RAM, and `gpa` a multiple of the size. Unsigned. */
  load16(gpa: Gpa): number;
  load32(gpa: Gpa): number;
  /** Dropped where the host has no more frames to give. Requires: RAM, and `gpa` a multiple of the size. */
  store16(gpa: Gpa, value: number): void;
  store32(gpa: Gpa, value: number): void;
  /**
   * Hands ranges of RAM to another thread, which writes them if `write`. Undefined where one is no RAM, or the host has no
   * more frames to give.
   */
  pin(ranges: readonly GuestRange[], write: boolean): Pinned | undefined;
  /**
   * Calls `use` with the bytes of these ranges, to be written if `write`, and gives back what it gives. Undefined, and nothing
   * called, where `pin` gives nothing. Requires: `use` keeps none of them.
   */
  access<T>(ranges: readonly GuestRange[], write: boolean, use: (pieces: Uint8Array[]) => T): T | undefined;
  /** Gives the frames of these pages back: they read as zeros then. Pages that are pinned, and what is no RAM, stay. How many went. */
  release(gfns: readonly Gfn[]): number;
}
