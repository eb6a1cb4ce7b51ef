/**
 * What the IR has no operation for among the integer instructions: divisions, CRC, decimal adjustment, and the locked
 * forms that Wasm has no atomic operation for. Arguments a and b are fields of the record.
 */
import * as L from "./layout";
import {
  access, access_exclusive, beginExclusive, commit, endExclusive, isExclusive, lock, MODIFY, raise, severalThreads, unlock,
} from "./memory";

const RAX: u32 = L.GPR;
const RCX: u32 = L.GPR + 8;
const RDX: u32 = L.GPR + 16;
const RBX: u32 = L.GPR + 24;

/** #DE. */
export function raise_divide(vp: u32): u32 {
  return raise(vp, 0, 0);
}

/** high:low / divisor, with high < divisor. (Knuth 2, algorithm D, with two 32-bit digits.) */
export function quotient(high: u64, low: u64, divisor: u64): u64 {
  if (high == 0) return low / divisor;
  const shift = clz(divisor);
  const d = divisor << shift;
  const d1 = d >> 32;
  const d0 = d & 0xffffffff;
  const n32 = shift == 0 ? high : (high << shift) | (low >> (64 - shift));
  const n10 = low << shift;
  const n1 = n10 >> 32;
  const n0 = n10 & 0xffffffff;
  let q1 = n32 / d1;
  let r = n32 - q1 * d1;
  while (q1 >> 32 != 0 || q1 * d0 > ((r << 32) | n1)) {
    q1--;
    r += d1;
    if (r >> 32 != 0) break;
  }
  const n21 = ((n32 << 32) | n1) - q1 * d;
  let q0 = n21 / d1;
  r = n21 - q0 * d1;
  while (q0 >> 32 != 0 || q0 * d0 > ((r << 32) | n0)) {
    q0--;
    r += d1;
    if (r >> 32 != 0) break;
  }
  return (q1 << 32) | q0;
}

/** high:low / divisor, signed and truncated; 0 with #DE raised where that does not fit, else LEAVE is 0. */
export function signed_quotient(vp: u32, high: u64, low: u64, divisor: u64): u64 {
  store<u32>(vp, 0, L.LEAVE);
  const negative = <i64>high < 0;
  if (negative) {
    low = 0 - low;
    high = ~high + (low == 0 ? 1 : 0);
  }
  const magnitude = <i64>divisor < 0 ? 0 - divisor : divisor;
  const down = negative != <i64>divisor < 0;
  if (high < magnitude) {
    const q = quotient(high, low, magnitude);
    // The most negative quotient fits.
    if (q <= (down ? <u64>0x8000000000000000 : <u64>0x7fffffffffffffff)) return down ? 0 - q : q;
  }
  raise_divide(vp);
  return 0;
}

/** DX:AX or AX / field a, of `size` 2 or 1 bytes: quotient to AX (AL), remainder to DX (AH). #DE where it does not fit. */
export function div(vp: u32, a: u32, b: u32, size: u32): u32 {
  if (size == 2) {
    const d = <u32>load<u16>(vp + a);
    const n = ((<u32>load<u16>(vp, RDX)) << 16) | <u32>load<u16>(vp, RAX);
    if (n >> 16 >= d) return raise_divide(vp);
    store<u16>(vp, <u16>(n / d), RAX);
    store<u16>(vp, <u16>(n % d), RDX);
    return 0;
  }
  const d = <u32>load<u8>(vp + a);
  const n = <u32>load<u16>(vp, RAX);
  if (n >> 8 >= d) return raise_divide(vp);
  store<u16>(vp, <u16>((n / d) | ((n % d) << 8)), RAX);
  return 0;
}

/** As `div`, signed: truncated quotient, the remainder has the dividend's sign. */
export function idiv(vp: u32, a: u32, b: u32, size: u32): u32 {
  if (size == 2) {
    const d = <i64>load<i16>(vp + a);
    const n = <i64><i32>((<u32>load<u16>(vp, RDX) << 16) | <u32>load<u16>(vp, RAX));
    if (d == 0) return raise_divide(vp);
    const q = n / d;
    if (q != <i64><i16>q) return raise_divide(vp);
    store<u16>(vp, <u16>q, RAX);
    store<u16>(vp, <u16>(n - q * d), RDX);
    return 0;
  }
  const d = <i32>load<i8>(vp + a);
  const n = <i32>load<i16>(vp, RAX);
  if (d == 0) return raise_divide(vp);
  const q = n / d;
  if (q != <i32><i8>q) return raise_divide(vp);
  store<u8>(vp, <u8>q, RAX);
  store<u8>(vp, <u8>(n - q * d), RAX + 1);
  return 0;
}

/** CRC32: field a, 32 bits and zero-extended, takes in `size` bytes of field b. Polynomial 0x11edc6f41, bits reflected. */
export function crc32(vp: u32, a: u32, b: u32, size: u32): u32 {
  let crc = load<u32>(vp + a);
  for (let n: u32 = 0; n < size; n++) {
    crc ^= <u32>load<u8>(vp + b + n);
    for (let bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0x82f63b78 & (0 - (crc & 1)));
  }
  store<u64>(vp + a, <u64>crc);
  return 0;
}

const CF: u32 = 0x001;
const PF: u32 = 0x004;
const AF: u32 = 0x010;
const ZF: u32 = 0x040;
const SF: u32 = 0x080;

/** DAA DAS AAA AAS AAM AAD by `kind`; field a holds the arithmetic flags, b is the immediate. */
export function decimal(vp: u32, a: u32, b: u32, kind: u32): u32 {
  let flags = load<u32>(vp + a);
  let al = <u32>load<u8>(vp, RAX);
  let ah = <u32>load<u8>(vp, RAX + 1);
  const adjust = (al & 15) > 9 || (flags & AF) != 0;
  if (kind < 2) {
    const high = al > 0x99 || (flags & CF) != 0;
    // DAS: a borrow out of the first step stays in CF.
    const borrow = kind == 1 && adjust && al < 6;
    if (adjust) al += kind == 0 ? 6 : -6;
    if (high) al += kind == 0 ? 0x60 : -0x60;
    al &= 0xff;
    flags = (flags & ~(CF | AF)) | (adjust ? AF : 0) | (high || borrow ? CF : 0);
  } else if (kind < 4) {
    let ax = (ah << 8) | al;
    // The carry of AL into AH counts as well.
    if (adjust) ax = kind == 2 ? ax + 0x106 : ax - 0x106;
    al = ax & 15;
    ah = (ax >> 8) & 0xff;
    flags = (flags & ~(CF | AF)) | (adjust ? CF | AF : 0);
  } else if (kind == 4) {
    if (b == 0) return raise_divide(vp);
    ah = al / b;
    al = al % b;
  } else {
    al = (al + ah * b) & 0xff;
    ah = 0;
  }
  if (kind < 2 || kind >= 4) {
    flags &= ~(SF | ZF | PF);
    if ((al & 0x80) != 0) flags |= SF;
    if (al == 0) flags |= ZF;
    if ((popcnt(al) & 1) == 0) flags |= PF;
  }
  store<u8>(vp, <u8>al, RAX);
  store<u8>(vp, <u8>ah, RAX + 1);
  store<u64>(vp + a, <u64>flags);
  return 0;
}

function exchange<T>(at: u32): T {
  let old: T = atomic.load<T>(at);
  for (;;) {
    const found: T = atomic.cmpxchg<T>(at, old, <T>(0 - <u64>old));
    if (found == old) break;
    old = found;
  }
  return <T>old;
}

/** Negates `size` bytes at the address in field a, atomically where they are aligned; field b gets the old value. */
export function locked_neg(vp: u32, a: u32, b: u32, size: u32): u32 {
  const va = load<u64>(vp + a);
  const at = access_exclusive(vp, va, size);
  if (at == 0) return load<u32>(vp, L.LEAVE);
  const aligned = (at & (size - 1)) == 0;
  let old: u64;
  if (aligned) {
    old = size == 8 ? exchange<u64>(at) : size == 4 ? <u64>exchange<u32>(at) : size == 2 ? <u64>exchange<u16>(at) : <u64>exchange<u8>(at);
  } else if (size == 8) {
    old = load<u64>(at);
    store<u64>(at, 0 - old);
  } else if (size == 4) {
    old = <u64>load<u32>(at);
    store<u32>(at, <u32>(0 - old));
  } else {
    old = <u64>load<u16>(at);
    store<u16>(at, <u16>(0 - old));
  }
  if (at == vp + L.BOUNCE && commit(vp, va, size) == 0) return load<u32>(vp, L.LEAVE);
  store<u64>(vp + b, old);
  return 0;
}

/**
 * CMPXCHG16B at the address in field a; field b gets 1 where RDX:RAX was there and RCX:RBX replaced it. imm 1: with LOCK.
 *
 * WebAssembly has no such operation. Without LOCK the instruction is atomic only for its own processor, as ours is. With it,
 * user code stops the other vCPUs meanwhile; the kernel, which does this all the time, takes a lock against others of the kind and
 * relies on what docs/smp.md says.
 */
export function cmpxchg16b(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const va = load<u64>(vp + a);
  if ((va & 15) != 0) return raise(vp, 13, 0);
  const alone = imm != 0 && severalThreads() && load<u32>(vp, L.CPL) == 3;
  if (alone) beginExclusive();
  let at = access(vp, va, 16, MODIFY);
  const stands = at == vp + L.BOUNCE;
  if (stands && severalThreads() && !isExclusive()) {
    beginExclusive();
    at = access(vp, va, 16, MODIFY);
  }
  if (at == 0) {
    if (isExclusive()) endExclusive();
    return load<u32>(vp, L.LEAVE);
  }
  const locks = imm != 0 && severalThreads() && !isExclusive();
  if (locks) lock(L.PROCESS + L.P_WIDE_LOCK);
  // One access of the host each: nobody sees half of it.
  const found = v128.load(at);
  const low = v128.extract_lane<u64>(found, 0);
  const high = v128.extract_lane<u64>(found, 1);
  const equal = low == load<u64>(vp, RAX) && high == load<u64>(vp, RDX);
  if (equal) v128.store(at, v128.replace_lane<u64>(v128.splat<u64>(load<u64>(vp, RBX)), 1, load<u64>(vp, RCX)));
  if (locks) unlock(L.PROCESS + L.P_WIDE_LOCK);
  // What was there is written back where the comparison failed.
  if (at == vp + L.BOUNCE && commit(vp, va, 16) == 0) return load<u32>(vp, L.LEAVE);
  if (isExclusive()) endExclusive();
  if (!equal) {
    store<u64>(vp, low, RAX);
    store<u64>(vp, high, RDX);
  }
  store<u64>(vp + b, equal ? 1 : 0);
  return 0;
}

/** MFENCE: any sequentially consistent read-modify-write orders stores before later loads. */
export function fence(vp: u32, a: u32, b: u32, imm: u32): u32 {
  atomic.add<u32>(vp + L.LEAVE_ARG, 0);
  return 0;
}
