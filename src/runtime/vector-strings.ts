/** PCMPxSTRx (SDM 2B, "Imm8 Control Byte Operation for PCMPESTRI …") and the masked stores. */
import { setFlags } from "./flags";
import * as L from "./layout";
import { access, commit, MODIFY } from "./memory";

/** Flags above the immediate, as jit/lift/sse-strings.ts gives them. */
const EXPLICIT: u32 = 0x100;
const WIDE_LENGTHS: u32 = 0x200;
const GIVES_MASK: u32 = 0x400;

const RAX: u32 = L.GPR;
const RCX: u32 = L.GPR + 8;
const RDX: u32 = L.GPR + 16;

/** Of imm bits 0 and 1, which are the format of elements: 16 bits, not 8. */
const WORDS: u32 = 1;

/** All elements the same: element n of the vector at `at`. */
function spread(at: u32, n: u32, words: bool): v128 {
  return words ? i16x8.splat(load<i16>(at + (n << 1))) : i8x16.splat(load<i8>(at + n));
}

/** Bit n: elements n are equal. */
function equalBits(a: v128, b: v128, words: bool): u32 {
  return words ? i16x8.bitmask(i16x8.eq(a, b)) : i8x16.bitmask(i8x16.eq(a, b));
}

/** Elements before the first zero. */
function implicitLength(at: u32, count: u32, words: bool): u32 {
  return ctz(equalBits(v128.load(at), i64x2.splat(0), words) | (1 << count));
}

/** Bit n: low <= x <= high in element n. */
function rangeBits(x: v128, low: v128, high: v128, format: u32): u32 {
  switch (format & 3) {
    case 0:
      return i8x16.bitmask(v128.and(i8x16.ge_u(x, low), i8x16.le_u(x, high)));
    case 1:
      return i16x8.bitmask(v128.and(i16x8.ge_u(x, low), i16x8.le_u(x, high)));
    case 2:
      return i8x16.bitmask(v128.and(i8x16.ge_s(x, low), i8x16.le_s(x, high)));
    default:
      return i16x8.bitmask(v128.and(i16x8.ge_s(x, low), i16x8.le_s(x, high)));
  }
}

/** The magnitude of a length register, at most `count`. */
function explicitLength(vp: u32, field: u32, count: u32, imm: u32): u32 {
  const value = (imm & WIDE_LENGTHS) != 0 ? load<i64>(vp + field) : i64(load<i32>(vp + field));
  if (value > i64(count) || value < -i64(count)) return count;
  return u32(abs<i64>(value));
}

/** Bit j: element j of b matches in the way of imm bits 2-3. `la`, `lb`: valid elements. */
function matches(a: u32, b: u32, la: u32, lb: u32, count: u32, imm: u32): u32 {
  const words = (imm & WORDS) != 0;
  const x = v128.load(b);
  const validB: u32 = (1 << lb) - 1;
  const mode = (imm >> 2) & 3;
  if (mode == 2) {
    // Equal each: past both ends is equal, past one is not.
    const validA: u32 = (1 << la) - 1;
    return (equalBits(v128.load(a), x, words) & validA & validB) | ~(validA | validB);
  }
  let result: u32 = 0;
  if (mode == 0) {
    // Equal any: b's element is in the set a.
    for (let i: u32 = 0; i < la; i++) result |= equalBits(spread(a, i, words), x, words);
    return result & validB;
  }
  if (mode == 1) {
    // Ranges: pairs of bounds in a.
    for (let i: u32 = 0; i + 1 < la; i += 2) result |= rangeBits(x, spread(a, i, words), spread(a, i + 1, words), imm);
    return result & validB;
  }
  // Equal ordered: a as a substring of b that begins at j; what would lie past b's last element is not asked.
  result = ~0;
  for (let i: u32 = 0; i < la; i++) {
    const past: u32 = -1 << (count - i);
    result &= ((equalBits(spread(a, i, words), x, words) & validB) >> i) | past;
  }
  return result;
}

/** a, b: fields of the operands; imm: the immediate and the flags above it. An index goes to ECX, a mask to XMM0. */
export function compare_strings(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const count: u32 = (imm & 1) != 0 ? 8 : 16;
  const explicit = (imm & EXPLICIT) != 0;
  const la = explicit ? explicitLength(vp, RAX, count, imm) : implicitLength(vp + a, count, (imm & WORDS) != 0);
  const lb = explicit ? explicitLength(vp, RDX, count, imm) : implicitLength(vp + b, count, (imm & WORDS) != 0);
  const all: u32 = (1 << count) - 1;
  let result = matches(vp + a, vp + b, la, lb, count, imm);
  if ((imm & 0x10) != 0) result ^= (imm & 0x20) != 0 ? (1 << lb) - 1 : all;
  result &= all;
  if ((imm & GIVES_MASK) == 0) {
    const index = result == 0 ? count : (imm & 0x40) != 0 ? 31 - clz(result) : ctz(result);
    store<u64>(vp, index, RCX);
  } else if ((imm & 0x40) == 0) {
    store<u64>(vp, result, L.XMM);
    store<u64>(vp, 0, L.XMM + 8);
  } else {
    for (let n: u32 = 0; n < 16; n++) {
      const bit = (result >> (count == 8 ? n >> 1 : n)) & 1;
      store<u8>(vp + n, bit != 0 ? 0xff : 0, L.XMM);
    }
  }
  setFlags(vp, (result != 0 ? 1 : 0) | (lb < count ? 0x40 : 0) | (la < count ? 0x80 : 0) | ((result & 1) != 0 ? 0x800 : 0));
  return 0;
}

/**
 * a: the field with the linear address; b: the data's field; imm: the mask's field, bit 16 set for eight bytes. All of the
 * bytes must be writable, whatever the mask says (as AMD's processors have it); those it leaves out keep their value.
 */
export function store_masked(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const size: u32 = imm >> 16 != 0 ? 8 : 16;
  const mask = vp + (imm & 0xffff);
  const va = load<u64>(vp + a);
  // Sixteen bytes are two stores.
  if (size == 16 && access(vp, va, 8, MODIFY) == 0) return load<u32>(vp, L.LEAVE);
  const at = access(vp, va, size, MODIFY);
  if (at == 0) return load<u32>(vp, L.LEAVE);
  for (let n: u32 = 0; n < size; n++) {
    if ((load<u8>(mask + n) & 0x80) != 0) store<u8>(at + n, load<u8>(vp + b + n));
  }
  if (at == vp + L.BOUNCE && commit(vp, va, size) == 0) return load<u32>(vp, L.LEAVE);
  return 0;
}
