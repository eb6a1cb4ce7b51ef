/** Blocks of translated code: finding them by RIP, and forgetting them when their bytes change (memory/arena-layout.ts). */
import * as L from "../layout";
import { frameInvalidated } from "../host";
import { LEAVE_LIFT } from "./faults";
import { beginExclusive, beginLifting, endExclusive, endLifting, severalThreads, tellOthers } from "./exclusive";
import { frameRecord } from "./frames";
import { jumpCacheEntry, newGlobalGeneration, noteCodePage } from "./generations";
import { take_learnt } from "./learnt";
import { areNumbers, dependOn, forgetNumbers, noteChange, numbersOf } from "./numbers";
import { afterPlace, forgetPlaces, frameEmptied, givePlace, keepPlace, takePlace } from "./places";
import { emptyEntry, fetch, forgetPages } from "./tlb";
import { blockHash, blocksEndAt, blocksStart, granules } from "./worker";

export function block_hash(hpa: u32, mode: u32): u32 {
  const mixed = (hpa ^ (mode * 0x9e3779b1)) * 0x85ebca6b;
  return blockHash + ((mixed >> 15) << 2);
}

/** Linear address of RIP: 32-bit code wraps, and may have a code-segment base. */
export function linear_rip(vp: u32): u64 {
  const rip = load<u64>(vp, L.RIP);
  if ((load<u32>(vp, L.MODE) & 12) == 0) return rip;
  store<u64>(vp, rip & 0xffffffff, L.RIP);
  return (rip + load<u64>(vp + L.SEG_BASE + 8)) & 0xffffffff;
}

/** HPA of the code byte at RIP, or, with `page` 1, of the first one of the next page; 0 as `fetch` says. */
export function fetch_code(vp: u32, page: u32): u32 {
  const va = linear_rip(vp);
  return fetch(vp, page == 0 ? va : (va | 4095) + 1);
}

/** Whether the fetch TLB's entry for a page that was just fetched from is global. */
function isGlobal(vp: u32, mode: u32, va: u64): bool {
  const entry = vp + L.FETCH_TLB + ((mode & 3) == 0 ? 0 : L.TLB_BYTES) + ((<u32>(va >> 12) & (L.TLB_ENTRIES - 1)) << 4);
  return (load<u32>(entry, 12) & 1) != 0;
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
  for (;;) {
    if (block == 0) block = take_learnt(vp, hpa, mode);
    if (block == 0) break;
    if (load<u32>(block, L.B_HPA) == hpa && load<u32>(block, L.B_MODE) == mode) {
      let global = isGlobal(vp, mode, va);
      const second = load<u32>(block, L.B_HPA2);
      let same = true;
      if (second != 0) {
        // The last instruction crosses into another page, which must still be the one it was lifted from.
        const page2 = fetch(vp, (va | 4095) + 1);
        if (page2 == 0) return 0;
        same = page2 == second;
        global = global && isGlobal(vp, mode, (va | 4095) + 1);
      }
      if (same) {
        const rip = load<u64>(vp, L.RIP);
        const cached = jumpCacheEntry(vp, rip);
        // Where RIP is no linear address, what INVLPG says of pages is not found again.
        if (rip == va) {
          const asid = global ? load<u32>(vp, L.GLOBAL_ASID) : load<u32>(vp, L.ASID);
          store<u64>(cached, rip, L.J_RIP);
          store<u32>(cached, block, L.J_BLOCK);
          store<u32>(cached, asid, L.J_ASID);
          store<u32>(cached, 0, L.J_EPOCH);
          const elsewhere = load<u64>(block, L.B_SEEN_RIP) != rip || load<u32>(block, L.B_SEEN_VP) != vp;
          if (elsewhere && load<u32>(block, L.B_SEEN_ASID) != 0) keepPlace(block);
          store<u32>(block, vp, L.B_SEEN_VP);
          store<u32>(block, asid, L.B_SEEN_ASID);
          store<u64>(block, rip, L.B_SEEN_RIP);
          noteCodePage(vp, va);
          if (second != 0) noteCodePage(vp, va + 4096);
        }
        return block;
      }
    }
    block = load<u32>(block, L.B_HASH_NEXT);
  }
  store<u32>(vp, LEAVE_LIFT, L.LEAVE);
  return 0;
}

/** Takes a frame of a VM's out of the write TLBs of its vCPUs, the only ones that can have it: it holds translated code from now on. */
export function protect_code(space: u32, frame: u32): void {
  const end = load<u32>(L.PROCESS, L.P_VCPU_COUNT);
  for (let n: u32 = 0; n < end; n++) {
    const vp = load<u32>(L.PROCESS + (n << 2), L.P_VCPUS);
    if (load<u32>(vp, L.SPACE) == space) protectFrom(vp, frame);
  }
}

/** The frame has entries in write TLBs at several places. */
const MANY: u16 = 0xffff;

/** A write TLB has an entry for a frame without code; `entry`: one more than its number. */
export function noteWriter(frame: u32, entry: u32): void {
  const record = frameRecord(frame);
  const before = load<u16>(record, L.F_WRITER);
  if (before != <u16>entry) store<u16>(record, before == 0 ? <u16>entry : MANY, L.F_WRITER);
}

/** As `protect_code`, for a frame whose writers this thread has noted. */
function protectNoted(space: u32, frame: u32): void {
  const entry = load<u16>(frameRecord(frame), L.F_WRITER);
  if (entry == 0) return;
  if (entry == MANY) return protect_code(space, frame);
  const end = load<u32>(L.PROCESS, L.P_VCPU_COUNT);
  for (let n: u32 = 0; n < end; n++) {
    const vp = load<u32>(L.PROCESS + (n << 2), L.P_VCPUS);
    if (load<u32>(vp, L.SPACE) != space) continue;
    forgetPages(vp);
    const at = vp + L.TLB + ((<u32>entry - 1) << 4);
    if (load<u32>(at, 8) + load<u32>(at) == frame) emptyEntry(at, vp);
  }
}

function protectFrom(vp: u32, frame: u32): void {
  forgetPages(vp);
  for (let mode: u32 = 0; mode < 3; mode++) {
    let at = vp + L.TLB + (mode * 2 + 1) * L.TLB_BYTES;
    const end = at + L.TLB_BYTES;
    for (; at < end; at += 16) if (load<u32>(at, 8) + load<u32>(at) == frame) emptyEntry(at, vp);
  }
}

/**
 * Enters a block whose header and IR are written at the end of all blocks: into a place, the hash table and the lists of its frames. It is
 * given its code, too.
 */
export function register_block(vp: u32, lifted: u32): void {
  store<u32>(lifted, 0, L.B_SEEN_ASID);
  let block = takePlace(vp, lifted);
  if (block == 0) givePlace((block = lifted));
  else {
    const place = load<u32>(block, L.B_PLACE);
    memory.copy(block, lifted, L.B_IR + load<u32>(lifted, L.B_IR_BYTES));
    store<u32>(block, place, L.B_PLACE);
    memory.copy(numbersOf(block), numbersOf(lifted), <u32>load<u16>(block, L.B_NUMBERS) << 2);
  }
  // Of a block that crosses into another page nobody asks for it.
  if (load<u32>(block, L.B_HPA2) == 0) memory.copy(codeOf(block), load<u32>(block, L.B_HPA), load<u32>(block, L.B_BYTES));
  enterBlock(vp, block, !severalThreads());
  endLifting();
}

/** `protect`: there may be write TLBs with entries for its frames. */
export function enterBlock(vp: u32, block: u32, protect: bool): void {
  const hpa = load<u32>(block, L.B_HPA);
  const slot = block_hash(hpa, load<u32>(block, L.B_MODE));
  store<u32>(block, load<u32>(slot), L.B_HASH_NEXT);
  store<u32>(slot, block);
  store<u32>(block, 1, L.B_VALID);
  const frame = hpa & 0xfffff000;
  const record = frameRecord(frame);
  if (load<u32>(record, L.F_BLOCKS) == 0 && protect) protectNoted(load<u32>(vp, L.SPACE), frame);
  store<u32>(block, load<u32>(record, L.F_BLOCKS), L.B_PAGE_NEXT);
  store<u32>(record, block, L.F_BLOCKS);
  noteCode(record, block, 0);
  const second = load<u32>(block, L.B_HPA2);
  if (second != 0) enterSecond(vp, block, second, protect);
  depend_on_bytes(block);
}

/** A store to bytes that a block was lifted from is one that changes code, but to its numbers. */
export function depend_on_bytes(block: u32): void {
  dependOn(block, load<u32>(block, L.B_HPA) & 0xfffff000, blockStart(block, 0), blockEnd(block, 0));
  const second = load<u32>(block, L.B_HPA2);
  if (second != 0) dependOn(block, second, blockStart(block, 1), blockEnd(block, 1));
}

function enterSecond(vp: u32, block: u32, second: u32, protect: bool): void {
  const record2 = frameRecord(second);
  if (load<u32>(record2, L.F_BLOCKS) == 0 && protect) protectNoted(load<u32>(vp, L.SPACE), second);
  // A list holds a block twice only through its two links: the low bit says which link goes on.
  store<u32>(block, load<u32>(record2, L.F_BLOCKS), L.B_PAGE2_NEXT);
  store<u32>(record2, block | 1, L.F_BLOCKS);
  noteCode(record2, block, 1);
}

/** Offset in the page of the block's first byte there, and past its last one. `second`: 1 for the page that it crosses into. */
function blockStart(block: u32, second: u32): u32 {
  return second != 0 ? 0 : load<u32>(block, L.B_HPA) & 4095;
}
function blockEnd(block: u32, second: u32): u32 {
  const end = (load<u32>(block, L.B_HPA) & 4095) + load<u32>(block, L.B_BYTES);
  return second != 0 ? end - 4096 : min(end, 4096);
}

function noteCode(record: u32, block: u32, second: u32): void {
  store<u64>(record, load<u64>(record, L.F_CODE) | granules(blockStart(block, second), blockEnd(block, second)), L.F_CODE);
  store<u16>(record, 0, L.F_STORES);
}

/** Stores to a page after one that changed code in it, without any of its code running: the page gets other contents. */
const REWRITTEN: u32 = 16;

/** Counts a store to a frame with code, where they are counted now; false: it is one too many since the frame's code last ran. */
export function countStore(frame: u32): bool {
  const record = frameRecord(frame);
  const stores = <u32>load<u16>(record, L.F_STORES);
  if (stores == REWRITTEN) return false;
  if (stores != 0) store<u16>(record, <u16>(stores + 1), L.F_STORES);
  return true;
}

/** As `countStore`; where it is one too many, all code of the frame is forgotten. */
export function noteStore(frame: u32): void {
  if (!countStore(frame)) forgetFrame(frame);
}

/** Whether bytes [from, to) of a frame share a granule with translated code. */
export function touchesCode(frame: u32, from: u32, to: u32): bool {
  const record = frameRecord(frame);
  return load<u32>(record, L.F_BLOCKS) != 0 && (load<u64>(record, L.F_CODE) & granules(from, to)) != 0;
}

/** Whether a store to bytes [from, to) of a frame changes the block that the interpreter is in, or may. */
export function touchesRunning(vp: u32, frame: u32, from: u32, to: u32): bool {
  const leave = load<u32>(vp, L.LEAVE);
  const block = lookup(vp);
  store<u32>(vp, leave, L.LEAVE);
  if (block == 0) return true;
  if ((load<u32>(block, L.B_HPA) & 0xfffff000) == frame) return blockStart(block, 0) < to && blockEnd(block, 0) > from;
  return load<u32>(block, L.B_HPA2) == frame && blockEnd(block, 1) > from;
}

/** So many forgotten blocks stay in the list of a frame that has others: their places are free when all of the frame's are. */
const GONE_LISTED: u32 = 4;

/** Forgets the blocks that depend on bytes [from, to) of a frame, which change; regions with them. */
export function invalidate_range(frame: u32, from: u32, to: u32): void {
  const record = frameRecord(frame);
  const first = load<u32>(record, L.F_BLOCKS);
  const whole = to - from == 4096;
  let link = first;
  if (link == 0 || areNumbers(frame, from, to)) return;
  let last = record + L.F_BLOCKS;
  let gone: u32 = 0;
  let code: u64 = 0;
  let compiled = false;
  let changed = false;
  while (link != 0) {
    const second = link & 1;
    const block = link & 0xfffffffe;
    const nextAt = block + (second != 0 ? L.B_PAGE2_NEXT : L.B_PAGE_NEXT);
    const start = blockStart(block, second);
    const end = blockEnd(block, second);
    const valid = load<u32>(block, L.B_VALID);
    const stays = valid != 0 && (start >= to || end <= from);
    if (stays) code |= granules(start, end);
    else if (valid != 0) {
      changed = true;
      compiled = compiled || (valid & 2) != 0;
      unhash(block);
    }
    if (stays || (!whole && load<u32>(block, L.B_HPA2) == 0 && gone++ < GONE_LISTED)) {
      store<u32>(last, link);
      last = nextAt;
    }
    link = load<u32>(nextAt);
  }
  store<u32>(last, 0);
  store<u64>(record, code, L.F_CODE);
  if (whole) frameEmptied(record, first);
  if (code == 0) {
    store<u32>(record, 0, L.F_BLOCKS);
    store<u16>(record, 0, L.F_WRITER);
  } else if (changed && load<u16>(record, L.F_STORES) == 0) store<u16>(record, 1, L.F_STORES);
  if (changed) noteChange(frame, from, to);
  if (!compiled) return;
  store<u8>(record, <u8>min<u32>(<u32>load<u8>(record, L.F_PATCHES) + 1, 0xff), L.F_PATCHES);
  frameInvalidated(frame);
}

/**
 * Before code of the frame is read to be translated (`second`: for a block that began in another one). Where several threads
 * run, stores of the others must be noticed from here on.
 */
export function claim_code(space: u32, frame: u32, second: u32): void {
  if (!severalThreads() || !beginLifting(frame, second != 0)) return;
  beginExclusive();
  protect_code(space, frame);
  endExclusive();
}

/** Bytes of a frame have changed: nobody runs what was translated from it before. */
export function invalidate_frame(frame: u32): void {
  forgetFrame(frame);
  tellOthers(frame, 0, 4096);
}

/** Forgets all blocks that this thread lifted from a frame. */
function forgetFrame(frame: u32): void {
  invalidate_range(frame, 0, 4096);
  forgetNumbers(frame);
}

function unhash(block: u32): void {
  // So that who looks later sees what it was (engine/translating/learnt-blocks.ts).
  store<u32>(block, load<u32>(block, L.B_REGION), L.B_HEAT);
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

function holdsNoCode(frame: u32): void {
  const record = frameRecord(frame);
  if (load<u32>(record, L.F_BLOCKS) == 0) return;
  store<u32>(record, 0, L.F_BLOCKS);
  store<u64>(record, 0, L.F_CODE);
  store<u16>(record, 0, L.F_WRITER);
}

/** The code that a block was lifted from, as it was then. */
export function codeOf(block: u32): u32 {
  return block + L.B_IR + load<u32>(block, L.B_IR_BYTES);
}

/** Forgets every block of this thread's: the cache of blocks is full. */
export function forget_blocks(): void {
  let block = blocksStart;
  const end = load<u32>(blocksEndAt);
  while (block < end) {
    holdsNoCode(load<u32>(block, L.B_HPA) & 0xfffff000);
    const second = load<u32>(block, L.B_HPA2);
    if (second != 0) holdsNoCode(second);
    block = afterPlace(block);
  }
  forgetPlaces();
  memory.fill(blockHash, 0, L.BLOCK_HASH_ENTRIES * 4);
  store<u32>(blocksEndAt, blocksStart);
}

/** A vCPU forgets where blocks are. Law: it is called for each one after `forget_blocks`, and before that one runs. */
export function forget_code(vp: u32): void {
  newGlobalGeneration(vp);
}

/** Forgets what other threads have changed; nonzero: that was too much to say, all blocks are to be forgotten. */
export function take_forgets(vp: u32): u32 {
  const count = load<u32>(vp, L.FORGET_COUNT);
  if (count > L.FORGET_ENTRIES) {
    store<u32>(vp, 0, L.FORGET_COUNT);
    return 1;
  }
  for (let n: u32 = 0; n < count; n++) forgetFrame(load<u32>(vp + L.FORGET + (n << 2)));
  atomic.store<u32>(vp + L.FORGET_COUNT, 0);
  return 0;
}

