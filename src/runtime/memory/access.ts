/**
 * Accesses that no TLB entry serves: across pages, to devices, to read-only memory and to pages with translated code.
 * Their bytes stand in the vCPU's bounce buffer meanwhile.
 */
import * as L from "../layout";
import { mmioRead, mmioWrite } from "../host";
import { canonical, isInSegment, need_interpreter, need_step, raise, raiseNonCanonical } from "./faults";
import { frameOf, readOnly } from "./frames";
import { MODIFY, READ, WRITE, walk, walkedGpa } from "./walk";
import { copies, copiesCode, unshare } from "./share";
import { codeFrame, entryAddress, fillFor } from "./tlb";
import { areNumbers } from "./numbers";
import { countStore, invalidate_range, noteStore, touchesCode, touchesRunning } from "./blocks";
import { beginExclusive, endExclusive, isExclusive, parks, severalThreads, tellOthers } from "./exclusive";
import { noteAccess } from "../system/breakpoints";

/** What `translate` answers where nothing is mapped. */
// @ts-ignore: decorator
@inline const NOWHERE: u64 = 0xffffffffffffffff;

/** The page's piece of an access, as `resolvePiece` found it: arena address of RAM, or 0 for MMIO. */
let pieceAddress: u32 = 0;
let pieceGpa: u64 = 0;

/** The interpreter asks, for an operation of the block at RIP: no compiled region is under way. */
let interpreting: bool = false;

/** An error of the host's has ended a call in its middle. */
export function abandon(): void {
  interpreting = false;
}

/**
 * Resolves one page's piece of an access, whose use `flags` are noted; false with LEAVE set: a fault, or `step` where code that may run
 * now gets another frame.
 */
function resolvePiece(vp: u32, va: u64, intent: u32, mode: u32, flags: u32): bool {
  if (!canonical(va)) return raiseNonCanonical(vp) != 0;
  if (walk(vp, va, intent, mode == 0, mode == 2) == 0) return false;
  const space = load<u32>(vp, L.SPACE);
  const gfn = walkedGpa >> 12;
  pieceGpa = walkedGpa | (va & 4095);
  const writing = intent == WRITE || intent == MODIFY;
  if (writing && load<u32>(vp, L.STEPPING) == 0 && copiesCode(space, gfn)) {
    need_step(vp);
    return false;
  }
  // Whoever is to store there by and by has an address that stays.
  if (writing) unshare(space, gfn);
  const frame = frameOf(space, gfn, flags);
  pieceAddress = frame == 0 ? 0 : frame + (<u32>va & 4095);
  return true;
}

/** Bytes of the longest access that is not walked where the TLB has both of its pages. */
const SHORT: u32 = 16;

/** Where the second page of what `cachedAcross` found begins. */
let secondAddress: u32 = 0;

/** Arena address of the first byte of a short access across pages where the TLB has both; else 0. */
function cachedAcross(vp: u32, va: u64, size: u32, mode: u32, writing: bool): u32 {
  if (size > SHORT || (<u32>va & 4095) + size <= 4096) return 0;
  const last = va + size - 1;
  const one = entryAddress(vp, mode, writing, va);
  const two = entryAddress(vp, mode, writing, last);
  if (load<u64>(one) != (va & 0xfffffffffffff000) || load<u64>(two) != (last & 0xfffffffffffff000)) return 0;
  secondAddress = load<u32>(two, 8) + (<u32>last & 0xfffff000);
  return load<u32>(one, 8) + <u32>va;
}

/** What is to be read across two pages that the TLB has, as one piece; 0 where it has not both. */
function gatherCached(vp: u32, va: u64, size: u32, mode: u32): u32 {
  const address = cachedAcross(vp, va, size, mode, false);
  if (address == 0) return 0;
  const first: u32 = 4096 - (<u32>va & 4095);
  const at = vp + L.BOUNCE + first;
  // The end of one page and the beginning of the other, more of both than is wanted.
  v128.store(at, v128.load(address + first - SHORT));
  v128.store(at + SHORT, v128.load(secondAddress));
  return vp + L.BOUNCE + SHORT;
}

/** Carries what is in the bounce buffer to two pages that the TLB has for writing: nobody else has to know. False where it has not both. */
function scatterCached(vp: u32, va: u64, size: u32, mode: u32): bool {
  const address = cachedAcross(vp, va, size, mode, true);
  if (address == 0) return false;
  const first: u32 = 4096 - (<u32>va & 4095);
  for (let n: u32 = 0; n < first; n++) store<u8>(address + n, load<u8>(vp + L.BOUNCE + n));
  for (let n: u32 = first; n < size; n++) store<u8>(secondAddress + n - first, load<u8>(vp + L.BOUNCE + n));
  return true;
}

/** See `access`; in the TLB mode given (0 user, 1 supervisor, 2 supervisor that may touch user pages). */
export function accessAs(vp: u32, va: u64, size: u32, intent: u32, mode: u32): u32 {
  const offset = <u32>va & 4095;
  const writing = intent == WRITE || intent == MODIFY;
  if (offset + size > 4096) {
    // Both ends are looked at before anything is walked.
    if (!isInSegment(vp, va, va + size - 1)) return raiseNonCanonical(vp);
    if (intent == WRITE && cachedAcross(vp, va, size, mode, true) != 0) return vp + L.BOUNCE;
    const at = intent == READ ? gatherCached(vp, va, size, mode) : 0;
    if (at != 0) return at;
  } else {
    const entry = entryAddress(vp, mode, writing, va);
    if (load<u64>(entry) == (va & 0xfffffffffffff000)) return load<u32>(entry, 8) + <u32>va;
    store<u32>(vp, 0, L.LEAVE);
    const frame = fillFor(vp, va, intent, mode);
    if (frame != 0) return frame + offset;
    if (load<u32>(vp, L.LEAVE) != 0) return 0;
    if (codeFrame != 0 && areNumbers(codeFrame, offset, offset + size)) return codeFrame + offset;
    // Data beside code.
    if (codeFrame != 0 && !touchesCode(codeFrame, offset, offset + size)) {
      noteStore(codeFrame);
      return codeFrame + offset;
    }
  }
  store<u32>(vp, 0, L.LEAVE);
  const stepping = load<u32>(vp, L.STEPPING) != 0;
  const first = min(size, 4096 - offset);
  // Both pages are resolved before anything is read: a fault on the second leaves no trace but A and D bits.
  // Nothing is stored before `commit`.
  if (!resolvePiece(vp, va, intent, mode, L.E_ACCESSED)) return 0;
  const address1 = pieceAddress;
  const gpa1 = pieceGpa;
  let address2: u32 = 0;
  let gpa2: u64 = 0;
  if (first < size) {
    if (!resolvePiece(vp, va + <u64>first, intent, mode, L.E_ACCESSED)) return 0;
    address2 = pieceAddress;
    gpa2 = pieceGpa;
  }
  const mmio = address1 == 0 || (first < size && address2 == 0);
  if (!stepping) {
    const code = writing && (isRunning(vp, address1, first) || (first < size && isRunning(vp, address2, size - first)));
    if (mmio || code) {
      need_step(vp);
      return 0;
    }
  }
  noteAccess(vp, va, size, writing);
  if (intent != WRITE) {
    gather(vp, 0, address1, gpa1, first);
    if (first < size) gather(vp, first, address2, gpa2, size - first);
  }
  return vp + L.BOUNCE;
}

/**
 * Arena address of `size` (at most 64) bytes at linear address `va`, readable or writable as `intent` says, with the
 * rights of the current mode; 0 with LEAVE set: a fault, or `step` where this must wait until STEPPING.
 * An answer of vp + BOUNCE is a stand-in: after writing to it, `commit` carries the bytes to where they belong.
 */
export function access(vp: u32, va: u64, size: u32, intent: u32): u32 {
  return accessAs(vp, va, size, intent, load<u32>(vp, L.MODE) & 3);
}

/** Whether a store there may change the code that runs now. */
function isRunning(vp: u32, address: u32, size: u32): bool {
  const frame = address & 0xfffff000;
  const from = address & 4095;
  if (address == 0 || !touchesCode(frame, from, from + size)) return false;
  return !interpreting || touchesRunning(vp, frame, from, from + size);
}

/** `access` for the interpreter: a store may change code, but for the block that it belongs to. */
export function interpreter_access(vp: u32, va: u64, size: u32, intent: u32): u32 {
  interpreting = true;
  const at = access(vp, va, size, intent);
  interpreting = false;
  return at;
}

/** Bytes [from, from + size) of the bounce buffer, from RAM or a device. */
function gather(vp: u32, from: u32, address: u32, gpa: u64, size: u32): void {
  const target = vp + L.BOUNCE + from;
  if (address != 0) return memory.copy(target, address, size);
  // Devices may be another thread's, which would have to run: where no RAM is, nothing is exclusive.
  if (isExclusive()) endExclusive();
  let done: u32 = 0;
  while (done < size) {
    const part = mmioPart(gpa + done, size - done);
    const value = mmioRead(<u32>((gpa + done) >> 32), <u32>(gpa + done), part);
    if (part == 4) store<u32>(target + done, value);
    else if (part == 2) store<u16>(target + done, <u16>value);
    else store<u8>(target + done, <u8>value);
    done += part;
  }
}

/** The widest aligned access that devices take. */
function mmioPart(gpa: u64, size: u32): u32 {
  if (size >= 4 && (gpa & 3) == 0) return 4;
  if (size >= 2 && (gpa & 1) == 0) return 2;
  return 1;
}

/** Bytes [from, from + size) of the bounce buffer, to RAM. */
function putBytes(vp: u32, from: u32, address: u32, gpa: u64, size: u32): void {
  if (address == 0 || readOnly(load<u32>(vp, L.SPACE), gpa >> 12)) return;
  const start = address & 4095;
  invalidate_range(address & 0xfffff000, start, start + size);
  memory.copy(address, vp + L.BOUNCE + from, size);
}

/** After `putBytes`: tells others of code that was changed; what is no RAM goes to its device. */
function finish(vp: u32, from: u32, address: u32, gpa: u64, size: u32): void {
  const start = address & 4095;
  if (address != 0) return tellOthers(address & 0xfffff000, start, start + size);
  const source = vp + L.BOUNCE + from;
  if (isExclusive()) endExclusive();
  let done: u32 = 0;
  while (done < size) {
    const part = mmioPart(gpa + done, size - done);
    const at = source + done;
    const value = part == 4 ? load<u32>(at) : part == 2 ? <u32>load<u16>(at) : <u32>load<u8>(at);
    mmioWrite(<u32>((gpa + done) >> 32), <u32>(gpa + done), part, value);
    done += part;
  }
}

export function commitAs(vp: u32, va: u64, size: u32, mode: u32): u32 {
  const first = min(size, 4096 - (<u32>va & 4095));
  let address1: u32 = 0;
  let gpa1: u64 = 0;
  let before: u32;
  do {
    before = parks;
    if (!resolvePiece(vp, va, WRITE, mode, L.E_ACCESSED | L.E_DIRTY)) return 0;
    address1 = pieceAddress;
    gpa1 = pieceGpa;
    if (first < size && !resolvePiece(vp, va + <u64>first, WRITE, mode, L.E_ACCESSED | L.E_DIRTY)) return 0;
  } while (parks != before);
  const address2 = first < size ? pieceAddress : 0;
  const gpa2 = pieceGpa;
  // All of RAM before anything that may park.
  putBytes(vp, 0, address1, gpa1, first);
  if (first < size) putBytes(vp, first, address2, gpa2, size - first);
  finish(vp, 0, address1, gpa1, first);
  if (first < size) finish(vp, first, address2, gpa2, size - first);
  return 1;
}

/**
 * Carries `size` bytes of the bounce buffer to linear address `va`, as `access` for writing prepared. What `access_exclusive`
 * began ends here.
 */
export function commit(vp: u32, va: u64, size: u32): u32 {
  const mode = load<u32>(vp, L.MODE) & 3;
  if (!isExclusive() && scatterCached(vp, va, size, mode)) return 1;
  const done = commitAs(vp, va, size, mode);
  if (isExclusive()) endExclusive();
  return done;
}

/** WRITE by who looks whether the answer is the bounce buffer, and then calls `commit`; for `resolve` only. */
const SPLIT_WRITE: u32 = 4;

/**
 * For compiled code, about an access that the TLB does not serve: arena address of its bytes, or 0 with LEAVE set. Page and
 * address belong together only where a TLB entry says so afterwards: bytes of two pages stand in the bounce buffer.
 * Where a page has got another frame on the way, what compiled code knows of pages is stale, and it is left.
 */
export function resolve(vp: u32, va: u64, size: u32, intent: u32): u32 {
  const before = copies;
  const at = resolved(vp, va, size, intent);
  if (at == 0 || copies == before) return at;
  need_interpreter(vp);
  return 0;
}

function resolved(vp: u32, va: u64, size: u32, intent: u32): u32 {
  store<u32>(vp, 0, L.LEAVE);
  const offset = <u32>va & 4095;
  if (offset + size > 4096) {
    if (intent == READ || intent == SPLIT_WRITE) return access(vp, va, size, intent == READ ? READ : WRITE);
  } else {
    const frame = fillFor(vp, va, intent == SPLIT_WRITE ? WRITE : intent, load<u32>(vp, L.MODE) & 3);
    if (frame != 0) return frame + offset;
    if (load<u32>(vp, L.LEAVE) != 0) return 0;
    if (codeFrame != 0 && areNumbers(codeFrame, offset, offset + size)) return codeFrame + offset;
    // Data beside code, unless there are so many stores that the interpreter is to forget it.
    if (codeFrame != 0 && !touchesCode(codeFrame, offset, offset + size) && countStore(codeFrame)) return codeFrame + offset;
  }
  need_interpreter(vp);
  return 0;
}

/** `resolve` for an access that has not asked the TLB. */
export function seek(vp: u32, va: u64, size: u32, intent: u32): u32 {
  const entry = entryAddress(vp, load<u32>(vp, L.MODE) & 3, intent != READ, va);
  if ((load<u64>(entry) ^ va) > <u64>(4096 - size)) return resolve(vp, va, size, intent);
  store<u32>(vp, load<u32>(vp, L.MISPLACED) + 1, L.MISPLACED);
  return load<u32>(entry, 8) + <u32>va;
}

/** Accesses of sixteen bytes and less lie on a known page where they start below this. */
const KNOWN_LIMIT: u64 = 4096 - 15;

/** `resolve` for an access that is not on its known page, which becomes known if the TLB has it. `slot`: which of all. */
export function page_miss(vp: u32, va: u64, slot: u32, size: u32, intent: u32): u32 {
  const entry = entryAddress(vp, load<u32>(vp, L.MODE) & 3, intent != READ, va);
  if ((load<u64>(entry) ^ va) > <u64>(4096 - size)) return resolve(vp, va, size, intent);
  const addend = load<u32>(entry, 8);
  const maskAt = vp + L.KNOWN_PAGE_MASKS + ((slot / L.KNOWN_PAGE_SLOTS) << 2);
  store<u32>(maskAt, load<u32>(maskAt) | (1 << (slot & (L.KNOWN_PAGE_SLOTS - 1))));
  const known = vp + L.KNOWN_PAGES + slot * L.KNOWN_PAGE_BYTES;
  store<u64>(known, load<u64>(entry));
  store<u64>(known, KNOWN_LIMIT, 8);
  store<u32>(known, addend, 16);
  return addend + <u32>va;
}

/**
 * For an atomic update that the TLB does not serve: as `access` for reading and writing, but what is not naturally aligned is
 * always given as the bounce buffer, since a misaligned atomic traps in WebAssembly.
 */
export function access_exclusive(vp: u32, va: u64, size: u32): u32 {
  let at = interpreter_access(vp, va, size, MODIFY);
  if (at == 0 || (at != vp + L.BOUNCE && (at & (size - 1)) == 0)) return at;
  if (severalThreads()) {
    // Nobody else runs until `commit`. What lies there may have changed before that was so.
    beginExclusive();
    at = interpreter_access(vp, va, size, MODIFY);
    if (at == 0) {
      if (isExclusive()) endExclusive();
      return 0;
    }
  }
  if (at != vp + L.BOUNCE) memory.copy(vp + L.BOUNCE, at, size);
  return vp + L.BOUNCE;
}

/** Arena address of `va` where its whole page is plain RAM for this intent; 0 otherwise (LEAVE 0: go by `access`). */
export function pagePointer(vp: u32, va: u64, intent: u32): u32 {
  const mode = load<u32>(vp, L.MODE) & 3;
  const entry = entryAddress(vp, mode, intent == WRITE || intent == MODIFY, va);
  store<u32>(vp, 0, L.LEAVE);
  if (load<u64>(entry) == (va & 0xfffffffffffff000)) return load<u32>(entry, 8) + <u32>va;
  const frame = fillFor(vp, va, intent, mode);
  return frame == 0 ? 0 : frame + (<u32>va & 4095);
}

/** Reads at most 8 bytes with the given mode's rights, zero-extended. LEAVE is 0, or says what went wrong. */
export function readAs(vp: u32, va: u64, size: u32, mode: u32): u64 {
  store<u32>(vp, 0, L.LEAVE);
  const at = accessAs(vp, va, size, READ, mode);
  if (at == 0) return 0;
  return size == 8 ? load<u64>(at) : size == 4 ? <u64>load<u32>(at) : size == 2 ? <u64>load<u16>(at) : <u64>load<u8>(at);
}

/** Writes at most 8 bytes with the given mode's rights. False with LEAVE set. */
export function writeAs(vp: u32, va: u64, size: u32, value: u64, mode: u32): bool {
  store<u32>(vp, 0, L.LEAVE);
  const at = accessAs(vp, va, size, WRITE, mode);
  if (at == 0) return false;
  if (size == 8) store<u64>(at, value);
  else if (size == 4) store<u32>(at, <u32>value);
  else if (size == 2) store<u16>(at, <u16>value);
  else store<u8>(at, <u8>value);
  return at != vp + L.BOUNCE || commitAs(vp, va, size, mode) != 0;
}

/** GPA behind `va` for a debugger or INVLPG-free look: all ones where nothing is mapped. Raises nothing, but sets A bits. */
export function translate(vp: u32, va: u64): u64 {
  const leave = load<u32>(vp, L.LEAVE);
  const vector = load<u32>(vp, L.FAULT_VECTOR);
  const error = load<u32>(vp, L.FAULT_ERROR);
  const address = load<u64>(vp, L.FAULT_ADDRESS);
  const found = canonical(va) && walk(vp, va, READ, false, true) != 0;
  store<u32>(vp, leave, L.LEAVE);
  store<u32>(vp, vector, L.FAULT_VECTOR);
  store<u32>(vp, error, L.FAULT_ERROR);
  store<u64>(vp, address, L.FAULT_ADDRESS);
  return found ? walkedGpa | (va & 4095) : NOWHERE;
}

/** #GP: a jump's target is not canonical. `calls`: unless the return address cannot be pushed. */
export function raise_target(vp: u32, calls: u32): u32 {
  store<u32>(vp, 0, L.LEAVE);
  if (calls != 0 && access(vp, load<u64>(vp + L.GPR + 32) - 8, 8, WRITE) == 0) return load<u32>(vp, L.LEAVE);
  return raise(vp, 13, 0);
}
