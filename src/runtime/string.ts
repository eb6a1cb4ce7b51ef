/**
 * Repeated string instructions, page by page.
 *
 * Law: registers always tell the iterations that are done, so that a fault, an MMIO access or a long operation leaves in
 * the middle and the instruction, started again, goes on. The flags are those of the last comparison done, as AMD's
 * processors leave them also on a fault (Intel's restore the first ones). Where no iteration was done nothing changes,
 * upper halves of registers included.
 *
 * a: the record's field with the base of the source segment; b: of ES (ZERO where no base applies).
 * imm: bits 0-1 log2 of the element, 2-3 log2 of the address size, then the flags below.
 */
import * as L from "./layout";
import { access, commit, pagePointer, parks, raise, raiseNonCanonical, READ, WRITE } from "./memory";

import { segment_access } from "./segment-access";

const GP: u32 = 13;
const CHECKS_WRITE: u32 = 0x1000;

const RAX: u32 = L.GPR;
const RCX: u32 = L.GPR + 8;
const RSI: u32 = L.GPR + 48;
const RDI: u32 = L.GPR + 56;

/** Linear addresses are 32 bits: not in 64-bit code. */
const NARROW: u32 = 16;
/** F2: CMPS and SCAS go on while unequal. */
const WHILE_UNEQUAL: u32 = 32;

const LEAVE_AGAIN: u32 = 8;
/** Bytes after which an operation gives way. */
const enough: u64 = 16 << 20;

// @ts-ignore: decorator
@inline
function addressMask(imm: u32): u64 {
  const n = (imm >> 2) & 3;
  return n == 3 ? 0xffffffffffffffff : n == 2 ? 0xffffffff : 0xffff;
}

// @ts-ignore: decorator
@inline
function linear(vp: u32, base: u32, offset: u64, imm: u32): u64 {
  const va = load<u64>(vp + base) + offset;
  return (imm & NARROW) != 0 ? va & 0xffffffff : va;
}

/** Writes a counter or index register: 16 bits merge, 32 clear the upper half. */
// @ts-ignore: decorator
@inline
function put(vp: u32, field: u32, value: u64, imm: u32): void {
  if (((imm >> 2) & 3) == 1) store<u16>(vp + field, <u16>value);
  else store<u64>(vp + field, value);
}

/** The element at an offset passes the end of a 4 GiB segment. */
// @ts-ignore: decorator
@inline
function passesEnd(offset: u64, imm: u32): bool {
  return (imm & NARROW) != 0 && offset + (1 << (imm & 3)) > 0x100000000;
}

/** Elements from `va` on that lie whole in its page and before the offset wraps; 0 where the first one crosses. */
function within(va: u64, offset: u64, imm: u32, back: bool): u64 {
  const k = <u64>(imm & 3);
  const size = <u64>1 << k;
  const mask = addressMask(imm);
  const inPage = va & 4095;
  if (passesEnd(offset, imm)) return 0;
  if (back) {
    if (inPage + size > 4096) return 0;
    return min<u64>((inPage >> k) + 1, (offset >> k) + 1);
  }
  const n = (4096 - inPage) >> k;
  if (mask + 1 == 0) return n;
  // With 16-bit addresses the last element may pass the end of them.
  return min<u64>(n, mask == 0xffff ? (mask + 1 - offset + size - 1) >> k : max<u64>((mask + 1 - offset) >> k, 1));
}

function get(at: u32, k: u32): u64 {
  if (k == 0) return <u64>load<u8>(at);
  if (k == 1) return <u64>load<u16>(at);
  if (k == 2) return <u64>load<u32>(at);
  return load<u64>(at);
}
function set(at: u32, k: u32, value: u64): void {
  if (k == 0) store<u8>(at, <u8>value);
  else if (k == 1) store<u16>(at, <u16>value);
  else if (k == 2) store<u32>(at, <u32>value);
  else store<u64>(at, value);
}

/** The segment whose base the field `base` is does not allow it: a fault was raised. Only 32-bit code has such segments. */
function denied(vp: u32, base: u32, imm: u32, intent: u32): bool {
  if ((imm & NARROW) == 0 || base == L.ZERO) return false;
  return segment_access(vp, (base - L.SEG_BASE) >> 3, L.ZERO, intent == WRITE ? CHECKS_WRITE : 0) != 0;
}

/** As pagePointer. */
function page(vp: u32, base: u32, va: u64, imm: u32, intent: u32): u32 {
  return denied(vp, base, imm, intent) ? 0 : pagePointer(vp, va, intent);
}

/** One element by the slow path. What was read is in `element`; false with LEAVE set. */
let element: u64 = 0;
function readElement(vp: u32, base: u32, offset: u64, imm: u32): bool {
  if (denied(vp, base, imm, READ)) return false;
  if (passesEnd(offset, imm)) return raiseNonCanonical(vp) != 0;
  const k = imm & 3;
  const at = access(vp, linear(vp, base, offset, imm), 1 << k, READ);
  if (at == 0) return false;
  element = get(at, k);
  return true;
}
function writeElement(vp: u32, base: u32, offset: u64, imm: u32, value: u64): bool {
  if (denied(vp, base, imm, WRITE)) return false;
  if (passesEnd(offset, imm)) return raise(vp, GP, 0) == 0;
  const k = imm & 3;
  const va = linear(vp, base, offset, imm);
  const at = access(vp, va, 1 << k, WRITE);
  if (at == 0) return false;
  set(at, k, value);
  return at != vp + L.BOUNCE || commit(vp, va, 1 << k) != 0;
}

/**
 * True where the operation, not done after `work` bytes, gives way. In deterministic mode (ICOUNT_LIMIT says when)
 * and for a single instruction, events wait.
 */
function givesWay(vp: u32, work: u64): bool {
  if (work >= enough || load<u32>(vp, L.STEP_TRAP) != 0) return true;
  return load<u32>(vp, L.EVENTS) != 0 && load<u32>(vp, L.STEPPING) == 0 && load<u64>(vp, L.ICOUNT_LIMIT) == 0xffffffffffffffff;
}

/** Elements to do before asking `givesWay`: single steps end with each. */
function atOnce(vp: u32, left: u64): u64 {
  return load<u32>(vp, L.STEP_TRAP) != 0 ? min<u64>(left, 1) : left;
}

function again(vp: u32): u32 {
  store<u32>(vp, LEAVE_AGAIN, L.LEAVE);
  return LEAVE_AGAIN;
}

// Bulk pieces. Each is what element after element would do, overlaps included.

function copyUp(to: u32, from: u32, bytes: u32, size: u32): void {
  if (to <= from || to >= from + bytes) return memory.copy(to, from, bytes);
  const distance = to - from;
  if (distance < size) {
    const k = ctz(size);
    for (let n: u32 = 0; n < bytes; n += size) set(to + n, k, get(from + n, k));
    return;
  }
  // The source's first `distance` bytes are repeated.
  memory.copy(to, from, distance);
  for (let done = distance; done < bytes; done += min(done, bytes - done)) memory.copy(to + done, to, min(done, bytes - done));
}

/** `to` and `from` are the lowest addresses; the highest element goes first. */
function copyDown(to: u32, from: u32, bytes: u32, size: u32): void {
  if (to >= from || to + bytes <= from) return memory.copy(to, from, bytes);
  const k = ctz(size);
  for (let n = bytes; n != 0; n -= size) set(to + n - size, k, get(from + n - size, k));
}

function fillElements(to: u32, bytes: u32, k: u32, value: u64): void {
  const low = value & 0xff;
  if (k == 0) return memory.fill(to, <u8>low, bytes);
  const width: u64 = k == 3 ? 0xffffffffffffffff : k == 2 ? 0xffffffff : 0xffff;
  if ((value & width) == ((low * 0x0101010101010101) & width)) return memory.fill(to, <u8>low, bytes);
  set(to, k, value);
  for (let done: u32 = 1 << k; done < bytes; done += min(done, bytes - done)) memory.copy(to + done, to, min(done, bytes - done));
}

export function rep_movs(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const k = imm & 3;
  const mask = addressMask(imm);
  let left = load<u64>(vp, RCX) & mask;
  const start = left;
  let from = load<u64>(vp, RSI) & mask;
  let to = load<u64>(vp, RDI) & mask;
  const back = load<i64>(vp, L.DIRECTION) < 0;
  let work: u64 = 0;
  let leave: u32 = 0;
  if (left == 0) return 0;
  while (left != 0 && leave == 0) {
    const source = linear(vp, a, from, imm);
    const target = linear(vp, b, to, imm);
    let n = min<u64>(atOnce(vp, left), min<u64>(within(source, from, imm, back), within(target, to, imm, back)));
    let p: u32 = 0;
    let q: u32 = 0;
    if (n != 0) {
      let before: u32;
      do {
        before = parks;
        p = page(vp, a, source, imm, READ);
        if (p == 0 && load<u32>(vp, L.LEAVE) != 0) break;
        q = page(vp, b, target, imm, WRITE);
        if (q == 0 && load<u32>(vp, L.LEAVE) != 0) break;
        // Making the target writable may have given it, and so the source, another frame.
        if (p != 0 && q != 0) p = page(vp, a, source, imm, READ);
      } while (parks != before);
      if ((p == 0 || q == 0) && load<u32>(vp, L.LEAVE) != 0) break;
    } else n = 1;
    if (p != 0 && q != 0) {
      const bytes = <u32>n << k;
      const below = bytes - (1 << k);
      if (back) copyDown(q - below, p - below, bytes, 1 << k);
      else copyUp(q, p, bytes, 1 << k);
    } else {
      let done: u64 = 0;
      while (done < n) {
        const moved = back ? 0 - (done << k) : done << k;
        if (!readElement(vp, a, (from + moved) & mask, imm)) break;
        if (!writeElement(vp, b, (to + moved) & mask, imm, element)) break;
        done++;
      }
      if (done < n) leave = load<u32>(vp, L.LEAVE);
      n = done;
    }
    const moved = back ? 0 - (n << k) : n << k;
    from = (from + moved) & mask;
    to = (to + moved) & mask;
    left -= n;
    work += n << k;
    if (leave == 0 && left != 0 && givesWay(vp, work)) leave = again(vp);
  }
  if (left == start) return load<u32>(vp, L.LEAVE);
  put(vp, RCX, left, imm);
  put(vp, RSI, from, imm);
  put(vp, RDI, to, imm);
  return left != 0 ? load<u32>(vp, L.LEAVE) : 0;
}

export function rep_stos(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const k = imm & 3;
  const mask = addressMask(imm);
  let left = load<u64>(vp, RCX) & mask;
  const start = left;
  let to = load<u64>(vp, RDI) & mask;
  const back = load<i64>(vp, L.DIRECTION) < 0;
  const value = load<u64>(vp, RAX);
  let work: u64 = 0;
  let leave: u32 = 0;
  if (left == 0) return 0;
  while (left != 0 && leave == 0) {
    const target = linear(vp, b, to, imm);
    let n = min<u64>(atOnce(vp, left), within(target, to, imm, back));
    let q: u32 = 0;
    if (n != 0) {
      q = page(vp, b, target, imm, WRITE);
      if (q == 0 && load<u32>(vp, L.LEAVE) != 0) break;
    } else n = 1;
    if (q != 0) {
      const bytes = <u32>n << k;
      fillElements(back ? q + (1 << k) - bytes : q, bytes, k, value);
    } else {
      let done: u64 = 0;
      while (done < n) {
        const moved = back ? 0 - (done << k) : done << k;
        if (!writeElement(vp, b, (to + moved) & mask, imm, value)) break;
        done++;
      }
      if (done < n) leave = load<u32>(vp, L.LEAVE);
      n = done;
    }
    to = (to + (back ? 0 - (n << k) : n << k)) & mask;
    left -= n;
    work += n << k;
    if (leave == 0 && left != 0 && givesWay(vp, work)) leave = again(vp);
  }
  if (left == start) return load<u32>(vp, L.LEAVE);
  put(vp, RCX, left, imm);
  put(vp, RDI, to, imm);
  return left != 0 ? load<u32>(vp, L.LEAVE) : 0;
}

/** Only the last element stays, but each page is touched. */
export function rep_lods(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const k = imm & 3;
  const mask = addressMask(imm);
  let left = load<u64>(vp, RCX) & mask;
  const start = left;
  let from = load<u64>(vp, RSI) & mask;
  const back = load<i64>(vp, L.DIRECTION) < 0;
  let work: u64 = 0;
  let leave: u32 = 0;
  if (left == 0) return 0;
  while (left != 0 && leave == 0) {
    const source = linear(vp, a, from, imm);
    let n = min<u64>(atOnce(vp, left), within(source, from, imm, back));
    let p: u32 = 0;
    if (n != 0) {
      p = page(vp, a, source, imm, READ);
      if (p == 0 && load<u32>(vp, L.LEAVE) != 0) break;
    } else n = 1;
    if (p != 0) {
      const last = (<u32>n - 1) << k;
      element = get(back ? p - last : p + last, k);
    } else {
      let done: u64 = 0;
      while (done < n) {
        if (!readElement(vp, a, (from + (back ? 0 - (done << k) : done << k)) & mask, imm)) break;
        done++;
      }
      if (done < n) leave = load<u32>(vp, L.LEAVE);
      n = done;
    }
    if (n != 0) {
      if (k == 2) store<u64>(vp, element, RAX);
      else set(vp + RAX, k, element);
    }
    from = (from + (back ? 0 - (n << k) : n << k)) & mask;
    left -= n;
    work += n << k;
    if (leave == 0 && left != 0 && givesWay(vp, work)) leave = again(vp);
  }
  if (left == start) return load<u32>(vp, L.LEAVE);
  put(vp, RCX, left, imm);
  put(vp, RSI, from, imm);
  return left != 0 ? load<u32>(vp, L.LEAVE) : 0;
}

/** Elements compared, the one that ends the search included, or n. */
function compareRun<T>(p: u32, q: u32, n: u32, step: i32, whileEqual: bool): u32 {
  let done: u32 = 0;
  if (whileEqual && step > 0) {
    // Equal words need no look at their elements.
    const perWord: u32 = 8 / sizeof<T>();
    while (done + perWord <= n && load<u64>(p) == load<u64>(q)) {
      p += 8;
      q += 8;
      done += perWord;
    }
  }
  while (done < n) {
    done++;
    if ((load<T>(p) == load<T>(q)) != whileEqual) return done;
    p += step;
    q += step;
  }
  return n;
}
function scanRun<T>(q: u32, n: u32, step: i32, value: T, whileEqual: bool): u32 {
  let done: u32 = 0;
  while (done < n) {
    done++;
    if ((load<T>(q) == value) != whileEqual) return done;
    q += step;
  }
  return n;
}

/** The flags of first - second, as flags.ts describes them. */
function setCompared(vp: u32, k: u32, first: u64, second: u64): void {
  const shift: u64 = 64 - (8 << k);
  store<u64>(vp, <u64>(2 * 4 + k), L.CC_KIND);
  store<u64>(vp, first << shift, L.CC_A);
  store<u64>(vp, second << shift, L.CC_B);
}

export function rep_cmps(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const k = imm & 3;
  const mask = addressMask(imm);
  let left = load<u64>(vp, RCX) & mask;
  const start = left;
  let from = load<u64>(vp, RSI) & mask;
  let to = load<u64>(vp, RDI) & mask;
  const back = load<i64>(vp, L.DIRECTION) < 0;
  const whileEqual = (imm & WHILE_UNEQUAL) == 0;
  // Which fault comes first: AMD's processors read ES:rDI first, but for REPE CMPSB.
  const sourceFirst = k == 0 && whileEqual;
  const step: i32 = back ? -(1 << k) : 1 << k;
  let work: u64 = 0;
  let leave: u32 = 0;
  let first: u64 = 0;
  let second: u64 = 0;
  if (left == 0) return 0;
  for (;;) {
    const source = linear(vp, a, from, imm);
    const target = linear(vp, b, to, imm);
    let n = min<u64>(atOnce(vp, left), min<u64>(within(source, from, imm, back), within(target, to, imm, back)));
    let p: u32 = 0;
    let q: u32 = 0;
    if (n != 0) {
      if (sourceFirst) p = page(vp, a, source, imm, READ);
      if (sourceFirst && p == 0 && load<u32>(vp, L.LEAVE) != 0) leave = 1;
      else {
        q = page(vp, b, target, imm, READ);
        if (q == 0 && load<u32>(vp, L.LEAVE) != 0) leave = 1;
        else if (!sourceFirst) {
          p = page(vp, a, source, imm, READ);
          if (p == 0 && load<u32>(vp, L.LEAVE) != 0) leave = 1;
        }
      }
    }
    if (leave == 0) {
      if (p != 0 && q != 0) {
        const count = <u32>n;
        const done =
          k == 0 ? compareRun<u8>(p, q, count, step, whileEqual)
          : k == 1 ? compareRun<u16>(p, q, count, step, whileEqual)
          : k == 2 ? compareRun<u32>(p, q, count, step, whileEqual)
          : compareRun<u64>(p, q, count, step, whileEqual);
        n = <u64>done;
        first = get(p + (done - 1) * step, k);
        second = get(q + (done - 1) * step, k);
      } else {
        n = 0;
        if (readElement(vp, sourceFirst ? a : b, sourceFirst ? from : to, imm)) {
          const one = element;
          if (readElement(vp, sourceFirst ? b : a, sourceFirst ? to : from, imm)) {
            first = sourceFirst ? one : element;
            second = sourceFirst ? element : one;
            n = 1;
          }
        }
        if (n == 0) leave = 1;
      }
    } else n = 0;
    if (n != 0) {
      const moved = back ? 0 - (n << k) : n << k;
      from = (from + moved) & mask;
      to = (to + moved) & mask;
      left -= n;
      work += n << k;
      setCompared(vp, k, first, second);
      if (left == 0 || (first == second) != whileEqual) break;
      if (givesWay(vp, work)) leave = again(vp);
    }
    if (leave != 0) break;
  }
  if (left == start) return load<u32>(vp, L.LEAVE);
  put(vp, RCX, left, imm);
  put(vp, RSI, from, imm);
  put(vp, RDI, to, imm);
  return leave != 0 ? load<u32>(vp, L.LEAVE) : 0;
}

export function rep_scas(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const k = imm & 3;
  const mask = addressMask(imm);
  let left = load<u64>(vp, RCX) & mask;
  const start = left;
  let to = load<u64>(vp, RDI) & mask;
  const back = load<i64>(vp, L.DIRECTION) < 0;
  const whileEqual = (imm & WHILE_UNEQUAL) == 0;
  const step: i32 = back ? -(1 << k) : 1 << k;
  const value = get(vp + RAX, k);
  let work: u64 = 0;
  let leave: u32 = 0;
  let second: u64 = 0;
  if (left == 0) return 0;
  for (;;) {
    const target = linear(vp, b, to, imm);
    let n = min<u64>(atOnce(vp, left), within(target, to, imm, back));
    let q: u32 = 0;
    if (n != 0) {
      q = page(vp, b, target, imm, READ);
      if (q == 0 && load<u32>(vp, L.LEAVE) != 0) leave = 1;
    }
    if (leave == 0) {
      if (q != 0) {
        const count = <u32>n;
        const done =
          k == 0 ? scanRun<u8>(q, count, step, <u8>value, whileEqual)
          : k == 1 ? scanRun<u16>(q, count, step, <u16>value, whileEqual)
          : k == 2 ? scanRun<u32>(q, count, step, <u32>value, whileEqual)
          : scanRun<u64>(q, count, step, value, whileEqual);
        n = <u64>done;
        second = get(q + (done - 1) * step, k);
      } else if (readElement(vp, b, to, imm)) {
        second = element;
        n = 1;
      } else {
        n = 0;
        leave = 1;
      }
    } else n = 0;
    if (n != 0) {
      to = (to + (back ? 0 - (n << k) : n << k)) & mask;
      left -= n;
      work += n << k;
      setCompared(vp, k, value, second);
      if (left == 0 || (value == second) != whileEqual) break;
      if (givesWay(vp, work)) leave = again(vp);
    }
    if (leave != 0) break;
  }
  if (left == start) return load<u32>(vp, L.LEAVE);
  put(vp, RCX, left, imm);
  put(vp, RDI, to, imm);
  return leave != 0 ? load<u32>(vp, L.LEAVE) : 0;
}
