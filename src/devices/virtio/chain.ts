/**
 * From descriptors to ranges of guest memory: the one place that parses them (virtio 1.2, "The Virtqueue Descriptor Table").
 *
 * Laws: whatever bytes the tables hold, the walk ends after at most `maxDescriptors`; what it gives lies in RAM, readable
 * ranges before writable ones, and is at most as long as the device says. All else is an error, told by name.
 */
import { type Gpa, gpa } from "#address";
import type { DeviceMemory, GuestRange } from "#memory";
import type { Chain } from "./device.ts";

const descriptorBytes = 16;
const flagNext = 1;
const flagWrite = 2;
const flagIndirect = 4;

const maxDescriptors = 1024;
export const usualChainBytes = 64 << 20;

export interface DescriptorTable {
  readonly at: Gpa;
  readonly size: number;
}

export class GuestChain implements Chain {
  /** Index of its first descriptor: its name in the rings. */
  readonly head: number;
  /** Of the queue that gave it; another one's chains are nothing. */
  readonly era: number;
  readonly readable: GuestRange[] = [];
  readonly writable: GuestRange[] = [];
  readableBytes = 0;
  writableBytes = 0;
  readonly #memory: DeviceMemory;
  readonly #maxBytes: number;

  constructor(memory: DeviceMemory, head: number, era: number, maxBytes = usualChainBytes) {
    this.#maxBytes = maxBytes;
    this.#memory = memory;
    this.head = head;
    this.era = era;
  }

  read(offset: number, target: Uint8Array): number {
    return eachPiece(this.readable, offset, target.length, (at, done, length) =>
      this.#memory.read(at, target.subarray(done, done + length)),
    );
  }

  write(offset: number, source: Uint8Array): number {
    return eachPiece(this.writable, offset, source.length, (at, done, length) =>
      this.#memory.write(at, source.subarray(done, done + length)),
    );
  }

  /** What is wrong with the descriptors that begin at `head`; undefined when all is well. */
  collect(table: DescriptorTable, indirectAllowed: boolean): string | undefined {
    const memory = this.#memory;
    let { at: base, size } = table;
    let indirect = false;
    let left = size;
    let index = this.head;
    for (let count = 0; count < maxDescriptors; count++) {
      if (index >= size) return "a descriptor lies outside its table";
      if (left-- === 0) return "descriptors form a loop";
      const at = (base + index * descriptorBytes) as Gpa;
      const address = gpa(memory.load32(at) + memory.load32((at + 4) as Gpa) * 2 ** 32);
      const length = memory.load32((at + 8) as Gpa);
      const last = memory.load32((at + 12) as Gpa);
      const flags = last & 0xffff;
      if ((flags & flagIndirect) === 0) {
        const wrong = this.#add(address, length, (flags & flagWrite) !== 0);
        if (wrong !== undefined) return wrong;
        if ((flags & flagNext) === 0) return undefined;
        index = last >>> 16;
        continue;
      }
      if (!indirectAllowed || indirect) return "an indirect descriptor where none may be";
      if ((flags & flagNext) !== 0) return "an indirect descriptor that is not the last one";
      if (length === 0 || length % descriptorBytes !== 0 || address % 4 !== 0)
        return "an indirect table of a bad size or at an odd address";
      if (!memory.isRam(address, length)) return "an indirect table outside RAM";
      indirect = true;
      base = address;
      size = length / descriptorBytes;
      left = size;
      index = 0;
    }
    return "a chain of too many descriptors";
  }

  #add(address: Gpa, length: number, writable: boolean): string | undefined {
    if (length === 0) return undefined;
    if (!this.#memory.isRam(address, length)) return "a buffer outside RAM";
    if (!writable && this.writable.length > 0) return "a readable buffer after a writable one";
    if (this.readableBytes + this.writableBytes + length > this.#maxBytes) return "a chain of too many bytes";
    const range = { gpa: address, length };
    if (writable) {
      this.writable.push(range);
      this.writableBytes += length;
    } else {
      this.readable.push(range);
      this.readableBytes += length;
    }
    return undefined;
  }
}

/** Visits the pieces of `ranges` from `offset` on, `length` bytes in all; how many were done before one failed or the end. */
function eachPiece(
  ranges: readonly GuestRange[],
  offset: number,
  length: number,
  visit: (at: Gpa, done: number, length: number) => boolean,
): number {
  let skip = offset;
  let done = 0;
  for (const range of ranges) {
    if (done >= length) break;
    if (skip >= range.length) {
      skip -= range.length;
      continue;
    }
    const part = Math.min(range.length - skip, length - done);
    if (!visit((range.gpa + skip) as Gpa, done, part)) break;
    done += part;
    skip = 0;
  }
  return done;
}

/** The ranges' bytes from `from` on, `length` of them, or as many as there are. */
export function sliceRanges(ranges: readonly GuestRange[], from: number, length: number): GuestRange[] {
  const found: GuestRange[] = [];
  let skip = from;
  let left = length;
  for (const range of ranges) {
    if (left === 0) break;
    if (skip >= range.length) {
      skip -= range.length;
      continue;
    }
    const part = Math.min(range.length - skip, left);
    found.push({ gpa: (range.gpa + skip) as GuestRange["gpa"], length: part });
    left -= part;
    skip = 0;
  }
  return found;
}
