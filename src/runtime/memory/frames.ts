/** Guest frames: the table that finds them, and frames for what is touched for the first time (memory/arena-layout.ts). */
import { fillFrame, noMemory } from "../host";
import * as L from "../layout";
import { lock, unlock } from "./exclusive";
import { putFree, takeEmpty, takeFree } from "./free";
import { noteDirty } from "./logs";
import { own } from "./share";
import { records } from "./worker";

/** A frame, of zeros where `zeros`; 0 when the host allows no more. */
export function allotFrame(zeros: bool): u32 {
  const used = load<u32>(L.PROCESS, L.P_FRAMES_USED);
  if (used >= load<u32>(L.PROCESS, L.P_FRAME_LIMIT)) return 0;
  let frame = takeFree();
  if (frame != 0) {
    if (zeros) memory.fill(frame, 0, 4096);
  } else frame = takeEmpty();
  if (frame == 0) {
    frame = load<u32>(L.PROCESS, L.P_FRAME_NEXT);
    // Where the arena ends at 4 GiB, its end is 0.
    if (frame == 0) return 0;
    if (frame + 4095 > load<u32>(L.PROCESS, L.P_ARENA_END) - 1) {
      if (memory.grow(256) < 0) return 0;
      store<u32>(L.PROCESS, load<u32>(L.PROCESS, L.P_ARENA_END) + (256 << 16), L.P_ARENA_END);
    }
    store<u32>(L.PROCESS, frame + 4096, L.P_FRAME_NEXT);
  }
  store<u32>(L.PROCESS, used + 1, L.P_FRAMES_USED);
  if (used >= load<u32>(L.PROCESS, L.P_FRAME_ALARM)) ringAll();
  return frame;
}

/** Frames are short: whoever runs comes to the machine's thread before it takes many more. */
function ringAll(): void {
  const end = load<u32>(L.PROCESS, L.P_VCPU_COUNT);
  for (let n: u32 = 0; n < end; n++) atomic.or<u32>(load<u32>(L.PROCESS + (n << 2), L.P_VCPUS) + L.EVENTS, L.EVENT_HOST);
}

/** Puts a frame on the list of those that are free. */
export function give_back(frame: u32): void {
  lock(L.PROCESS + L.P_FRAME_LOCK);
  putFree(frame);
  store<u32>(L.PROCESS, load<u32>(L.PROCESS, L.P_FRAMES_USED) - 1, L.P_FRAMES_USED);
  unlock(L.PROCESS + L.P_FRAME_LOCK);
}

/** How many second-level tables, of 1024 entries each, an address space can have. */
export function tablesIn(space: u32): u32 {
  return load<u32>(space, L.S_GFN_END) >> 10;
}

/** Arena offset of a second-level table, or 0 where no memslot is near. Requires: below `tablesIn`. */
export function tableAt(space: u32, n: u32): u32 {
  return load<u32>(load<u32>(space, L.S_TABLE) + (n << 2));
}

/** Arena offset of the entry of a guest frame, or 0 where no memslot can be. */
export function entryOf(space: u32, gfn: u64): u32 {
  if (gfn >= <u64>load<u32>(space, L.S_GFN_END)) return 0;
  const second = tableAt(space, <u32>(gfn >> 10));
  return second == 0 ? 0 : second + ((<u32>gfn & 1023) << 2);
}

/**
 * HPA of the frame behind a guest frame, allotted at first touch; 0 where there is no RAM. `flags`: E_ bits to set; with E_DIRTY
 * it is a frame that nobody else uses, and whose bytes its object has no longer.
 */
export function frameOf(space: u32, gfn: u64, flags: u32): u32 {
  const at = entryOf(space, gfn);
  if (at == 0) return 0;
  let entry = load<u32>(at);
  if ((entry & L.E_RAM) == 0) return 0;
  if ((entry & L.E_PRESENT) == 0) entry = touch(space, at, <u32>gfn);
  if ((entry & L.E_COW) != 0 && (flags & L.E_DIRTY) != 0) entry = own(space, at);
  if ((entry & flags) != flags) mark(space, at, <u32>gfn, flags);
  if ((flags & L.E_DIRTY) != 0 && (entry & L.E_BACKED) != 0) atomic.and<u32>(at, ~L.E_BACKED);
  return entry & 0xfffff000;
}

/** Notes in an entry that its page is used. */
function mark(space: u32, at: u32, gfn: u32, flags: u32): void {
  const before = atomic.or<u32>(at, flags);
  if ((flags & ~before & L.E_DIRTY) != 0) noteDirty(space, gfn);
}

/** The entry at `at` with a frame, which another thread may have given it just now. */
function touch(space: u32, at: u32, gfn: u32): u32 {
  let entry = touchAbsent(space, at);
  while ((entry & L.E_PRESENT) == 0) {
    // May take long, so that no lock is held: only the machine's thread does it (memory/swap.ts), and calls `install_frame`.
    fillFrame(space, gfn);
    entry = touchAbsent(space, at);
  }
  return entry;
}

/** The entry at `at`: with a frame, unless its object has the page. */
function touchAbsent(space: u32, at: u32): u32 {
  lock(L.PROCESS + L.P_FRAME_LOCK);
  let entry = load<u32>(at);
  if ((entry & (L.E_PRESENT | L.E_BACKED)) == 0) {
    const frame = allotFrame(true);
    entry = frame == 0 ? 0 : give(space, at, frame);
  }
  unlock(L.PROCESS + L.P_FRAME_LOCK);
  if (entry == 0) noMemory();
  return entry;
}

/** Flags may be cleared by another thread meanwhile. Requires: locked. */
function give(space: u32, at: u32, frame: u32): u32 {
  store<u32>(space, load<u32>(space, L.S_FRAMES) + 1, L.S_FRAMES);
  return atomic.or<u32>(at, frame | L.E_PRESENT) | frame | L.E_PRESENT;
}

/** A frame that is nobody's yet, for `install_frame`; 0 when the host allows no more. */
export function allot_frame(): u32 {
  lock(L.PROCESS + L.P_FRAME_LOCK);
  const frame = allotFrame(false);
  unlock(L.PROCESS + L.P_FRAME_LOCK);
  return frame;
}

/** The frame, whose bytes are there, becomes the guest frame's. Requires: an object had these, and still does if `kept`. */
export function install_frame(space: u32, gfn: u32, frame: u32, kept: u32): void {
  const at = entryOf(space, gfn);
  lock(L.PROCESS + L.P_FRAME_LOCK);
  if (kept == 0) atomic.and<u32>(at, ~L.E_BACKED);
  give(space, at, frame);
  unlock(L.PROCESS + L.P_FRAME_LOCK);
}

/** `frameOf` for the TypeScript side. */
export function frame_of(space: u32, gfn: u32, flags: u32): u32 {
  return frameOf(space, <u64>gfn, flags);
}

export function frameRecord(frame: u32): u32 {
  return records + (frame >> 12) * L.FRAME_RECORD_BYTES;
}

/** True where writes to the guest frame are dropped. */
export function readOnly(space: u32, gfn: u64): bool {
  const at = entryOf(space, gfn);
  return at != 0 && (load<u32>(at) & L.E_READONLY) != 0;
}
