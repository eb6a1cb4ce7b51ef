/**
 * Guest-physical memory as a device, the loader or a debugger sees it.
 *
 * Every access is bounds-checked against the memslots: outside RAM `read` gives false and `write` does nothing
 * and gives false. The guest chooses the addresses, so a miss is a result and never an exception.
 * Law: a write marks its pages dirty and invalidates code translated from them, like a store of the guest.
 */
import type { Gpa } from "#address";

export interface GuestMemory {
  /** Bytes of RAM, all memslots together. */
  readonly sizeBytes: number;
  /** Copies `target.length` bytes from `gpa` on. False, and nothing copied, when any byte is no RAM. */
  read(gpa: Gpa, target: Uint8Array): boolean;
  /** Copies `source` to `gpa` on. False, and nothing copied, when any byte is no RAM. */
  write(gpa: Gpa, source: Uint8Array): boolean;
}
