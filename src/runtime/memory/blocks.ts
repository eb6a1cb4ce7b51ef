/** Blocks of translated code: finding them by RIP, and forgetting them when their bytes change (memory/arena-layout.ts). */
import * as L from "../layout";
import { frameInvalidated } from "../host";
import { LEAVE_LIFT } from "./faults";
import { frameRecord } from "./frames";
import { emptyEntry, fetch, fill } from "./tlb";

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

/** Takes a frame out of every write TLB of every vCPU: it holds translated code from now on. */
export function protect_code(frame: u32): void {
  const end = load<u32>(L.PROCESS, L.P_VCPU_COUNT);
  for (let n: u32 = 0; n < end; n++) protectFrom(load<u32>(L.PROCESS + (n << 2), L.P_VCPUS), frame);
}

function protectFrom(vp: u32, frame: u32): void {
  for (let mode: u32 = 0; mode < 3; mode++) {
    let at = vp + L.TLB + (mode * 2 + 1) * L.TLB_BYTES;
    const end = at + L.TLB_BYTES;
    for (; at < end; at += 16) if (load<u32>(at, 8) == frame) emptyEntry(at, vp);
  }
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
  if (load<u32>(record, L.F_BLOCKS) == 0) protect_code(frame);
  store<u32>(block, load<u32>(record, L.F_BLOCKS), L.B_PAGE_NEXT);
  store<u32>(record, block, L.F_BLOCKS);
  const second = load<u32>(block, L.B_HPA2);
  if (second == 0) return;
  const record2 = frameRecord(second);
  if (load<u32>(record2, L.F_BLOCKS) == 0) protect_code(second);
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
  const vcpus = load<u32>(L.PROCESS, L.P_VCPU_COUNT);
  for (let n: u32 = 0; n < vcpus; n++) emptyJumpCache(load<u32>(L.PROCESS + (n << 2), L.P_VCPUS));
}

/** By its generations: no entry is current any more. */
function emptyJumpCache(vp: u32): void {
  store<u32>(vp, load<u32>(vp, L.ASID) + 2, L.ASID);
  store<u32>(vp, load<u32>(vp, L.GLOBAL_ASID) + 2, L.GLOBAL_ASID);
}
