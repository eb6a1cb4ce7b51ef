/** What 32-bit code may do in its segments: 64-bit code has only bases, and most segments are flat. */
import * as L from "./layout";
import { raise } from "./memory";

const SS_INDEX: u32 = 2;
const STACK_FAULT: u32 = 12;
const GENERAL_PROTECTION: u32 = 13;

// As the lifter numbers them (jit/lift/lifter.ts).
const BYTES: u32 = 0xfff;
const WRITES: u32 = 0x1000;
const DELTA_SHIFT: u32 = 16;

const UNUSABLE: u32 = 0x10000;
const CODE: u32 = 8;
/** Of data: it grows downwards. Of data a right to write, of code one to read. */
const EXPANDS_DOWN: u32 = 4;
const ALLOWED: u32 = 2;
const BIG: u32 = 0x4000;

/** a = segment register, b = field with the offset, imm = bytes, what kind of access, and what to add to the offset. 0, or #GP (#SS) raised. */
export function segment_access(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const flags = load<u32>(vp + L.SEG_FLAGS + (a << 2));
  const writes = (imm & WRITES) != 0;
  const code = (flags & CODE) != 0;
  const forbidden = writes ? code || (flags & ALLOWED) == 0 : code && (flags & ALLOWED) == 0;
  if ((flags & UNUSABLE) != 0 || forbidden || beyondLimit(vp, a, load<u32>(vp + b) + (imm >> DELTA_SHIFT), imm & BYTES, flags)) {
    return raise(vp, a == SS_INDEX ? STACK_FAULT : GENERAL_PROTECTION, 0);
  }
  return 0;
}

function beyondLimit(vp: u32, segment: u32, offset: u32, bytes: u32, flags: u32): bool {
  if (bytes == 0) return false;
  const limit = <u64>load<u32>(vp + L.SEG_LIMIT + (segment << 2));
  const last = <u64>offset + bytes - 1;
  // Images go piece by piece: aligned ones meet no limit of 4 GiB, but wrap.
  if (limit == 0xffffffff && bytes > 16 && (offset & (bytes < 512 ? 3 : 15)) == 0) return false;
  if ((flags & (CODE | EXPANDS_DOWN)) != EXPANDS_DOWN) return last > limit;
  return <u64>offset <= limit || last > ((flags & BIG) != 0 ? 0xffffffff : 0xffff);
}
