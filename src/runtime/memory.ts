/**
 * Guest memory as translated code meets it: TLB miss, page walk, fill, and the accesses that no TLB entry can serve.
 *
 * Law (the second of the design): what memory management wants to see is kept out of the TLB. A write-TLB entry exists
 * only for a present, writable frame without translated code whose guest D bit is set; a read entry only for a present frame.
 *
 * TLB entry: u64 tag (the page's GVA; all ones, or 0 in entry 1023, = empty), u32 frame HPA, u32 flags (1 global, 2 large).
 * Walks: AMD64 Architecture Programmer's Manual 2, "Page-Translation Mechanism"; 4-level long mode, or no paging at all.
 */
import * as L from "./layout";
import { mmioRead, mmioWrite, frameInvalidated } from "./host";
import { noteAccess, watchesPage } from "./system/breakpoints";

export const READ: u32 = 0;
export const WRITE: u32 = 1;
/** Read and then write: checked as a write, and the bytes are there. */
export const MODIFY: u32 = 2;
export const FETCH: u32 = 3;

// @ts-ignore: decorator
@inline const EMPTY: u64 = 0xffffffffffffffff;
// @ts-ignore: decorator
@inline const PHYSICAL_MASK: u64 = 0x000000fffffff000;
/** Physical-address bits 40..51 must be zero: CPUID announces 40. */
// @ts-ignore: decorator
@inline const RESERVED: u64 = 0x000fff0000000000;

const LEAVE_FAULT: u32 = 1;
const LEAVE_LIFT: u32 = 2;
const LEAVE_STEP: u32 = 6;

const SS: u32 = 12;
const GP: u32 = 13;
const PF: u32 = 14;

export function raise(vp: u32, vector: u32, error: u32): u32 {
  store<u32>(vp, vector, L.FAULT_VECTOR);
  store<u32>(vp, error, L.FAULT_ERROR);
  store<u32>(vp, LEAVE_FAULT, L.LEAVE);
  return LEAVE_FAULT;
}

function raisePageFault(vp: u32, va: u64, error: u32): u32 {
  store<u64>(vp, va, L.FAULT_ADDRESS);
  raise(vp, PF, error);
  return 0;
}

/** #GP for an address that is not canonical; `stack_fault` may make #SS of it. Answers 0. */
function raiseNonCanonical(vp: u32, va: u64): u32 {
  store<u64>(vp, va, L.FAULT_ADDRESS);
  raise(vp, GP, 0);
  return 0;
}

/** The faulting access was to the stack segment: what would be #GP for its address is #SS. */
export function stack_fault(vp: u32): void {
  if (load<u32>(vp, L.FAULT_VECTOR) != GP || canonical(load<u64>(vp, L.FAULT_ADDRESS))) return;
  store<u32>(vp, SS, L.FAULT_VECTOR);
}

// Frames.

/** A fresh frame of zeros; 0 when the host allows no more. */
function allotFrame(): u32 {
  const free = load<u32>(L.PROCESS, L.P_FRAME_FREE);
  const used = load<u32>(L.PROCESS, L.P_FRAMES_USED);
  if (used >= load<u32>(L.PROCESS, L.P_FRAME_LIMIT)) return 0;
  let frame: u32;
  if (free != 0) {
    frame = free;
    store<u32>(L.PROCESS, load<u32>(free), L.P_FRAME_FREE);
    memory.fill(frame, 0, 4096);
  } else {
    frame = load<u32>(L.PROCESS, L.P_FRAME_NEXT);
    if (frame + 4096 > load<u32>(L.PROCESS, L.P_ARENA_END)) {
      if (memory.grow(256) < 0) return 0;
      store<u32>(L.PROCESS, load<u32>(L.PROCESS, L.P_ARENA_END) + (256 << 16), L.P_ARENA_END);
    }
    store<u32>(L.PROCESS, frame + 4096, L.P_FRAME_NEXT);
  }
  store<u32>(L.PROCESS, used + 1, L.P_FRAMES_USED);
  return frame;
}

/** Arena offset of the entry of a guest frame, or 0 where no memslot can be. */
function entryOf(space: u32, gfn: u64): u32 {
  if (gfn >= <u64>load<u32>(space, L.S_GFN_END)) return 0;
  const second = load<u32>(load<u32>(space, L.S_TABLE) + ((<u32>(gfn >> 10)) << 2));
  return second == 0 ? 0 : second + ((<u32>gfn & 1023) << 2);
}

/** HPA of the frame behind a guest frame, allotted at first touch; 0 where there is no RAM. `flags`: E_ bits to set. */
export function frameOf(space: u32, gfn: u64, flags: u32): u32 {
  const at = entryOf(space, gfn);
  if (at == 0) return 0;
  let entry = load<u32>(at);
  if ((entry & L.E_RAM) == 0) return 0;
  if ((entry & L.E_PRESENT) == 0) {
    const frame = allotFrame();
    if (frame == 0) return 0;
    store<u32>(space, load<u32>(space, L.S_FRAMES) + 1, L.S_FRAMES);
    entry |= frame | L.E_PRESENT;
    store<u32>(at, entry);
  }
  if ((entry & flags) != flags) store<u32>(at, entry | flags);
  return entry & 0xfffff000;
}

function frameRecord(frame: u32): u32 {
  return L.FRAME_RECORDS + (frame >> 12) * L.FRAME_RECORD_BYTES;
}

/** True where writes to the guest frame are dropped. */
function readOnly(space: u32, gfn: u64): bool {
  const at = entryOf(space, gfn);
  return at != 0 && (load<u32>(at) & L.E_READONLY) != 0;
}

// The walk. Its result beyond the return value:
let walkedGpa: u64 = 0;
let walkedFlags: u32 = 0; // 1 global, 2 large, 4 writable (and D is set)

/** Address of a page-table entry in the arena, or 0. */
function tableEntry(space: u32, table: u64, index: u64): u32 {
  const frame = frameOf(space, table >> 12, 0);
  return frame == 0 ? 0 : frame + (<u32>index << 3);
}

function setBits(at: u32, entry: u64, bits: u64): bool {
  return (entry & bits) == bits || atomic.cmpxchg<u64>(at, entry, entry | bits) == entry;
}

/**
 * Walks the guest's tables for `va`. `user`: the access counts as CPL 3. `mayTouchUser`: a supervisor may touch user pages.
 * Gives 1 with walkedGpa and walkedFlags, or 0 with the page fault raised.
 */
function walk(vp: u32, va: u64, intent: u32, user: bool, mayTouchUser: bool): u32 {
  const cr0 = load<u64>(vp, L.CR0);
  if ((cr0 & 0x80000000) == 0) {
    walkedGpa = va & 0xfffff000;
    walkedFlags = 4;
    return 1;
  }
  const writing = intent == WRITE || intent == MODIFY;
  const cr4 = load<u64>(vp, L.CR4);
  const nxe = (load<u64>(vp, L.EFER) & 0x800) != 0;
  let code: u32 = (writing ? 2 : 0) | (user ? 4 : 0);
  if (intent == FETCH && (nxe || (cr4 & 0x100000) != 0)) code |= 16;
  const space = load<u32>(vp, L.SPACE);

  for (;;) {
    let table = load<u64>(vp, L.CR3) & PHYSICAL_MASK;
    let shift: u64 = 39;
    let writable = true;
    let userPage = true;
    let noExecute = false;
    let entry: u64 = 0;
    let at: u32 = 0;
    let again = false;
    for (;;) {
      at = tableEntry(space, table, (va >> shift) & 511);
      entry = at == 0 ? EMPTY : load<u64>(at);
      if ((entry & 1) == 0) return raisePageFault(vp, va, code);
      if ((entry & RESERVED) != 0 || (!nxe && entry >> 63 != 0)) return raisePageFault(vp, va, code | 9);
      writable = writable && (entry & 2) != 0;
      userPage = userPage && (entry & 4) != 0;
      noExecute = noExecute || entry >> 63 != 0;
      const leaf = shift == 12 || ((entry & 0x80) != 0 && shift <= 30);
      if (shift == 39 && (entry & 0x80) != 0) return raisePageFault(vp, va, code | 9);
      if (leaf) break;
      // Paging-structure entries get their A bit as the walk passes.
      if (!setBits(at, entry, 0x20)) {
        again = true;
        break;
      }
      table = entry & PHYSICAL_MASK;
      shift -= 9;
    }
    if (again) continue;
    if (shift != 12 && (entry & ((1 << shift) - 1) & 0xffffe000) != 0) return raisePageFault(vp, va, code | 9);

    let allowed: bool;
    if (user) allowed = userPage && (!writing || writable);
    else {
      allowed = !writing || writable || (cr0 & 0x10000) == 0;
      if (userPage && intent != FETCH && !mayTouchUser) allowed = false;
      if (userPage && intent == FETCH && (cr4 & 0x100000) != 0) allowed = false;
    }
    if (intent == FETCH && noExecute) allowed = false;
    if (!allowed) return raisePageFault(vp, va, code | 1);

    if (!setBits(at, entry, writing ? 0x60 : 0x20)) continue;
    const within: u64 = (1 << shift) - 1;
    walkedGpa = (entry & PHYSICAL_MASK & ~within) | (va & within & 0xfffffffffffff000);
    walkedFlags = ((entry & 0x100) != 0 && (cr4 & 0x80) != 0 ? 1 : 0) | (shift != 12 ? 2 : 0) | (writing ? 4 : 0);
    return 1;
  }
}

// The TLB.

function canonical(va: u64): bool {
  return <i64>(va << 16) >> 16 == <i64>va;
}

/** Address of the entry for `va` in a TLB of the given mode. */
function entryAddress(vp: u32, mode: u32, write: bool, va: u64): u32 {
  return vp + L.TLB + (mode * 2 + (write ? 1 : 0)) * L.TLB_BYTES + ((<u32>(va >> 12) & (L.TLB_ENTRIES - 1)) << 4);
}

function fill(vp: u32, entry: u32, va: u64, frame: u32): void {
  store<u64>(entry, va & 0xfffffffffffff000);
  store<u32>(entry, frame, 8);
  store<u32>(entry, walkedFlags & 3, 12);
  if ((walkedFlags & 2) != 0) noteLarge(vp, va);
  if ((walkedFlags & 1) == 0) {
    const count = load<u32>(vp, L.FILL_COUNT);
    if (count < L.FILL_LOG_ENTRIES) store<u32>(vp + L.FILL_LOG + (count << 2), entry - vp);
    store<u32>(vp, count + 1, L.FILL_COUNT);
  }
}

/** Remembers that some TLB entry may come from the large page around `va` (one bit for each of 2048 hashes). */
function noteLarge(vp: u32, va: u64): void {
  const hash = <u32>(va >> 21) & 2047;
  const at = vp + L.LARGE_FILTER + (hash >> 3);
  store<u8>(at, <u8>(<u32>load<u8>(at) | (1 << (hash & 7))));
}

function emptyTlb(at: u32): void {
  memory.fill(at, 0xff, L.TLB_BYTES);
  // All ones would match the last page of the address space, which lives in the last entry: there, 0 is the impossible tag.
  store<u64>(at + (L.TLB_ENTRIES - 1) * L.TLB_ENTRY_BYTES, 0);
}

/** Forgets everything, global pages too. */
export function tlb_flush_all(vp: u32): void {
  for (let n: u32 = 0; n < 8; n++) emptyTlb(vp + L.TLB + n * L.TLB_BYTES);
  memory.fill(vp + L.LARGE_FILTER, 0, 256);
  store<u32>(vp, 0, L.FILL_COUNT);
  // Odd generations are of non-global, even ones of global translations: no entry of either is current any more.
  store<u32>(vp, load<u32>(vp, L.ASID) + 2, L.ASID);
  store<u32>(vp, load<u32>(vp, L.GLOBAL_ASID) + 2, L.GLOBAL_ASID);
  store<u64>(vp, load<u64>(vp, L.TLB_FLUSHES) + 1, L.TLB_FLUSHES);
}

function emptyEntry(at: u32, vp: u32): void {
  const index = ((at - vp - L.TLB) >> 4) & (L.TLB_ENTRIES - 1);
  store<u64>(at, index == L.TLB_ENTRIES - 1 ? 0 : EMPTY);
}

/** Forgets all translations but global ones. */
export function tlb_flush(vp: u32): void {
  const count = load<u32>(vp, L.FILL_COUNT);
  if (count > L.FILL_LOG_ENTRIES) return tlb_flush_all(vp);
  for (let n: u32 = 0; n < count; n++) emptyEntry(vp + load<u32>(vp + L.FILL_LOG + (n << 2)), vp);
  store<u32>(vp, 0, L.FILL_COUNT);
  store<u32>(vp, load<u32>(vp, L.ASID) + 2, L.ASID);
  store<u64>(vp, load<u64>(vp, L.TLB_FLUSHES) + 1, L.TLB_FLUSHES);
}

/** Forgets the page of `va`, global or not (INVLPG); a large page as a whole. */
export function tlb_flush_page(vp: u32, va: u64): void {
  const hash = <u32>(va >> 21) & 2047;
  if ((<u32>load<u8>(vp + L.LARGE_FILTER + (hash >> 3)) & (1 << (hash & 7))) != 0) return tlb_flush_all(vp);
  const index = (<u32>(va >> 12) & (L.TLB_ENTRIES - 1)) << 4;
  for (let n: u32 = 0; n < 8; n++) emptyEntry(vp + L.TLB + n * L.TLB_BYTES + index, vp);
  store<u32>(vp, load<u32>(vp, L.ASID) + 2, L.ASID);
  store<u32>(vp, load<u32>(vp, L.GLOBAL_ASID) + 2, L.GLOBAL_ASID);
}

/** Takes a frame out of every write TLB: it holds translated code from now on. */
export function protect_code(vp: u32, frame: u32): void {
  for (let mode: u32 = 0; mode < 3; mode++) {
    let at = vp + L.TLB + (mode * 2 + 1) * L.TLB_BYTES;
    const end = at + L.TLB_BYTES;
    for (; at < end; at += 16) if (load<u32>(at, 8) == frame) emptyEntry(at, vp);
  }
}

/**
 * Fills the TLB for an access of translated code in the TLB mode given, and gives the HPA of the page; 0 where no entry can serve:
 * then LEAVE tells a fault, or is 0 for MMIO, ROM and pages with code.
 */
function fillFor(vp: u32, va: u64, intent: u32, mode: u32): u32 {
  store<u64>(vp, load<u64>(vp, L.TLB_MISSES) + 1, L.TLB_MISSES);
  if (!canonical(va)) return raiseNonCanonical(vp, va);
  if (walk(vp, va, intent, mode == 0, mode == 2) == 0) return 0;
  const space = load<u32>(vp, L.SPACE);
  const gfn = walkedGpa >> 12;
  const writing = intent == WRITE || intent == MODIFY;
  const frame = frameOf(space, gfn, writing ? L.E_ACCESSED | L.E_DIRTY : L.E_ACCESSED);
  if (frame == 0) return 0;
  if (writing) {
    if (load<u32>(frameRecord(frame), L.F_BLOCKS) != 0 || readOnly(space, gfn)) return 0;
  }
  if (watchesPage(vp, va)) return 0;
  fill(vp, entryAddress(vp, mode, writing, va), va, frame);
  return frame;
}

/** For compiled code: makes the TLB entry for a missed access. 0 = it is there; else the reason to leave, LEAVE being set. */
export function tlb_fill(vp: u32, va: u64, size: u32, intent: u32): u32 {
  store<u32>(vp, 0, L.LEAVE);
  if ((<u32>va & 4095) + size <= 4096) {
    if (fillFor(vp, va, intent, load<u32>(vp, L.MODE) & 3) != 0) return 0;
    if (load<u32>(vp, L.LEAVE) != 0) return LEAVE_FAULT;
  }
  return need_step(vp);
}

// Accesses that the TLB does not serve.

/** Kinds of backing for the piece of an access that lies in one page. */
let pieceAddress: u32 = 0; // arena address of RAM, or 0 for MMIO
let pieceGpa: u64 = 0;

/** Resolves one page's piece of an access; false with LEAVE set. */
function resolvePiece(vp: u32, va: u64, intent: u32, mode: u32): bool {
  if (!canonical(va)) return raiseNonCanonical(vp, va) != 0;
  if (walk(vp, va, intent, mode == 0, mode == 2) == 0) return false;
  const space = load<u32>(vp, L.SPACE);
  const gfn = walkedGpa >> 12;
  const writing = intent == WRITE || intent == MODIFY;
  pieceGpa = walkedGpa | (va & 4095);
  const frame = frameOf(space, gfn, writing ? L.E_ACCESSED | L.E_DIRTY : L.E_ACCESSED);
  pieceAddress = frame == 0 ? 0 : frame + (<u32>va & 4095);
  return true;
}

function needStep(vp: u32): u32 {
  store<u32>(vp, LEAVE_STEP, L.LEAVE);
  return 0;
}

/** See `access`; in the TLB mode given (0 user, 1 supervisor, 2 supervisor that may touch user pages). */
export function accessAs(vp: u32, va: u64, size: u32, intent: u32, mode: u32): u32 {
  const offset = <u32>va & 4095;
  const writing = intent == WRITE || intent == MODIFY;
  // Both ends are looked at before anything is walked.
  if (offset + size > 4096 && !canonical(va + size - 1)) return raiseNonCanonical(vp, va + size - 1);
  if (offset + size <= 4096) {
    const entry = entryAddress(vp, mode, writing, va);
    if (load<u64>(entry) == (va & 0xfffffffffffff000)) return load<u32>(entry, 8) + offset;
    store<u32>(vp, 0, L.LEAVE);
    const frame = fillFor(vp, va, intent, mode);
    if (frame != 0) return frame + offset;
    if (load<u32>(vp, L.LEAVE) != 0) return 0;
  }
  store<u32>(vp, 0, L.LEAVE);
  const stepping = load<u32>(vp, L.STEPPING) != 0;
  const first = min(size, 4096 - offset);
  // Both pages are resolved before anything is read: a fault on the second leaves no trace but A and D bits.
  if (!resolvePiece(vp, va, intent, mode)) return 0;
  const address1 = pieceAddress;
  const gpa1 = pieceGpa;
  let address2: u32 = 0;
  let gpa2: u64 = 0;
  if (first < size) {
    if (!resolvePiece(vp, va + <u64>first, intent, mode)) return 0;
    address2 = pieceAddress;
    gpa2 = pieceGpa;
  }
  const mmio = address1 == 0 || (first < size && address2 == 0);
  if (!stepping) {
    if (mmio) return needStep(vp);
    if (writing && (hasCode(address1) || (first < size && hasCode(address2)))) return needStep(vp);
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

function hasCode(address: u32): bool {
  return load<u32>(frameRecord(address & 0xfffff000), L.F_BLOCKS) != 0;
}

/** Bytes [from, from + size) of the bounce buffer, from RAM or a device. */
function gather(vp: u32, from: u32, address: u32, gpa: u64, size: u32): void {
  const target = vp + L.BOUNCE + from;
  if (address != 0) return memory.copy(target, address, size);
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

function scatter(vp: u32, from: u32, address: u32, gpa: u64, size: u32): void {
  const source = vp + L.BOUNCE + from;
  if (address != 0) {
    const frame = address & 0xfffff000;
    if (load<u32>(frameRecord(frame), L.F_BLOCKS) != 0) invalidate_frame(frame);
    if (!readOnly(load<u32>(vp, L.SPACE), gpa >> 12)) memory.copy(address, source, size);
    return;
  }
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
  if (!resolvePiece(vp, va, WRITE, mode)) return 0;
  const address1 = pieceAddress;
  const gpa1 = pieceGpa;
  if (first < size) {
    if (!resolvePiece(vp, va + <u64>first, WRITE, mode)) return 0;
    scatter(vp, first, pieceAddress, pieceGpa, size - first);
  }
  scatter(vp, 0, address1, gpa1, first);
  return 1;
}

/** Carries `size` bytes of the bounce buffer to linear address `va`, as `access` for writing prepared. */
export function commit(vp: u32, va: u64, size: u32): u32 {
  return commitAs(vp, va, size, load<u32>(vp, L.MODE) & 3);
}

/** Arena address of `va` where its whole page is plain RAM for this intent; 0 otherwise (LEAVE 0: go by `access`). */
export function pagePointer(vp: u32, va: u64, intent: u32): u32 {
  const mode = load<u32>(vp, L.MODE) & 3;
  const entry = entryAddress(vp, mode, intent == WRITE || intent == MODIFY, va);
  store<u32>(vp, 0, L.LEAVE);
  if (load<u64>(entry) == (va & 0xfffffffffffff000)) return load<u32>(entry, 8) + (<u32>va & 4095);
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
  return found ? walkedGpa | (va & 4095) : EMPTY;
}

// Blocks.

/** HPA of the code byte at linear address `va`, by the fetch TLB; 0 with the fault raised, or LEAVE 0 where it is no RAM. */
export function fetch(vp: u32, va: u64): u32 {
  const user = (load<u32>(vp, L.MODE) & 3) == 0;
  const entry = vp + L.FETCH_TLB + (user ? 0 : L.TLB_BYTES) + ((<u32>(va >> 12) & (L.TLB_ENTRIES - 1)) << 4);
  store<u32>(vp, 0, L.LEAVE);
  if (load<u64>(entry) == (va & 0xfffffffffffff000)) return load<u32>(entry, 8) + (<u32>va & 4095);
  if (!canonical(va)) {
    raise(vp, 13, 0);
    return 0;
  }
  if (walk(vp, va, FETCH, user, false) == 0) return 0;
  const frame = frameOf(load<u32>(vp, L.SPACE), walkedGpa >> 12, L.E_ACCESSED);
  if (frame == 0) return 0;
  fill(vp, entry, va, frame);
  return frame + (<u32>va & 4095);
}

export function block_hash(hpa: u32, mode: u32): u32 {
  const mixed = (hpa ^ (mode * 0x9e3779b1)) * 0x85ebca6b;
  return L.BLOCK_HASH + ((mixed >> 15) << 2);
}

/** Linear address of RIP: 32-bit code wraps, and may have a code-segment base. */
export function linear_rip(vp: u32): u64 {
  const rip = load<u64>(vp, L.RIP);
  if ((load<u32>(vp, L.MODE) & 12) == 0) return rip;
  store<u64>(vp, rip & 0xffffffff, L.RIP);
  return (rip + load<u64>(vp + L.SEG_BASE + 8)) & 0xffffffff;
}

/** The block for RIP in the current mode, entered into the jump cache; 0 with LEAVE set (fault or lift). */
export function lookup(vp: u32): u32 {
  const mode = load<u32>(vp, L.MODE);
  const va = linear_rip(vp);
  const hpa = fetch(vp, va);
  if (hpa == 0) {
    if (load<u32>(vp, L.LEAVE) == 0) store<u32>(vp, LEAVE_LIFT, L.LEAVE);
    return 0;
  }
  let block = load<u32>(block_hash(hpa, mode));
  while (block != 0) {
    if (load<u32>(block, L.B_HPA) == hpa && load<u32>(block, L.B_MODE) == mode) {
      const second = load<u32>(block, L.B_HPA2);
      if (second == 0) {
        const rip = load<u64>(vp, L.RIP);
        const cached = vp + L.JUMP_CACHE + ((<u32>(rip ^ (rip >> 12)) & (L.JUMP_CACHE_ENTRIES - 1)) << 4);
        const user = (mode & 3) == 0;
        const entry = vp + L.FETCH_TLB + (user ? 0 : L.TLB_BYTES) + ((<u32>(va >> 12) & (L.TLB_ENTRIES - 1)) << 4);
        store<u64>(cached, rip);
        store<u32>(cached, block, 8);
        store<u32>(cached, (load<u32>(entry, 12) & 1) != 0 ? load<u32>(vp, L.GLOBAL_ASID) : load<u32>(vp, L.ASID), 12);
        return block;
      }
      // The last instruction crosses into another page, which must still be the one it was lifted from.
      const page2 = fetch(vp, (va | 4095) + 1);
      if (page2 == second) return block;
      if (page2 == 0) return 0;
    }
    block = load<u32>(block, L.B_HASH_NEXT);
  }
  store<u32>(vp, LEAVE_LIFT, L.LEAVE);
  return 0;
}

/** Enters a block whose header and IR are written: into the hash table and the lists of its frames. */
export function register_block(vp: u32, block: u32): void {
  const hpa = load<u32>(block, L.B_HPA);
  const slot = block_hash(hpa, load<u32>(block, L.B_MODE));
  store<u32>(block, load<u32>(slot), L.B_HASH_NEXT);
  store<u32>(slot, block);
  store<u32>(block, 1, L.B_VALID);
  const frame = hpa & 0xfffff000;
  const record = frameRecord(frame);
  if (load<u32>(record, L.F_BLOCKS) == 0) protect_code(vp, frame);
  store<u32>(block, load<u32>(record, L.F_BLOCKS), L.B_PAGE_NEXT);
  store<u32>(record, block, L.F_BLOCKS);
  const second = load<u32>(block, L.B_HPA2);
  if (second == 0) return;
  const record2 = frameRecord(second);
  if (load<u32>(record2, L.F_BLOCKS) == 0) protect_code(vp, second);
  // A list holds a block twice only through its two links: the low bit says which link goes on.
  store<u32>(block, load<u32>(record2, L.F_BLOCKS), L.B_PAGE2_NEXT);
  store<u32>(record2, block | 1, L.F_BLOCKS);
}

/** Forgets all blocks lifted from a frame: its bytes change. */
export function invalidate_frame(frame: u32): void {
  const record = frameRecord(frame);
  let link = load<u32>(record, L.F_BLOCKS);
  if (link == 0) return;
  while (link != 0) {
    const block = link & 0xfffffffe;
    link = (link & 1) != 0 ? load<u32>(block, L.B_PAGE2_NEXT) : load<u32>(block, L.B_PAGE_NEXT);
    if (load<u32>(block, L.B_VALID) != 0) unhash(block);
  }
  store<u32>(record, 0, L.F_BLOCKS);
  frameInvalidated(frame);
}

function unhash(block: u32): void {
  store<u32>(block, 0, L.B_VALID);
  store<u32>(block, 0, L.B_COUNTER);
  store<u32>(block, 0, L.B_REGION);
  let slot = block_hash(load<u32>(block, L.B_HPA), load<u32>(block, L.B_MODE));
  for (;;) {
    const here = load<u32>(slot);
    if (here == 0) return;
    if (here == block) return store<u32>(slot, load<u32>(block, L.B_HASH_NEXT));
    slot = here + L.B_HASH_NEXT;
  }
}

/** Forgets every block: the cache of blocks is full. */
export function forget_blocks(vp: u32): void {
  let block = L.BLOCKS;
  const end = load<u32>(L.PROCESS, L.P_BLOCK_NEXT);
  while (block < end) {
    store<u32>(frameRecord(load<u32>(block, L.B_HPA) & 0xfffff000), 0, L.F_BLOCKS);
    const second = load<u32>(block, L.B_HPA2);
    if (second != 0) store<u32>(frameRecord(second), 0, L.F_BLOCKS);
    block += (L.B_IR + load<u32>(block, L.B_IR_BYTES) + 15) & ~15;
  }
  memory.fill(L.BLOCK_HASH, 0, L.BLOCK_HASH_ENTRIES * 4);
  store<u32>(L.PROCESS, L.BLOCKS, L.P_BLOCK_NEXT);
  store<u32>(vp, load<u32>(vp, L.ASID) + 2, L.ASID);
  store<u32>(vp, load<u32>(vp, L.GLOBAL_ASID) + 2, L.GLOBAL_ASID);
}

/**
 * For an atomic update that the TLB does not serve: as `access` for reading and writing, but what is not naturally aligned is
 * always given as the bounce buffer, since a misaligned atomic traps in WebAssembly.
 */
export function access_exclusive(vp: u32, va: u64, size: u32): u32 {
  const at = access(vp, va, size, MODIFY);
  if (at == 0 || (at & (size - 1)) == 0) return at;
  memory.copy(vp + L.BOUNCE, at, size);
  return vp + L.BOUNCE;
}

/** The instruction must run alone. */
export function need_step(vp: u32): u32 {
  store<u32>(vp, LEAVE_STEP, L.LEAVE);
  return LEAVE_STEP;
}

/** #GP: an address that must be a multiple of 16 is not. */
export function raise_alignment(vp: u32): u32 {
  store<u64>(vp, 0, L.FAULT_ADDRESS);
  return raise(vp, 13, 0);
}

/** Ends a run after the current instruction (Event.stop). */
export function stop(vp: u32): void {
  store<u32>(vp, load<u32>(vp, L.EVENTS) | 8, L.EVENTS);
}

/** `frameOf` for the TypeScript side. */
export function frame_of(space: u32, gfn: u32, flags: u32): u32 {
  return frameOf(space, <u64>gfn, flags);
}
