/**
 * Frames that several VMs use: those of a machine and of its forks (docs/forks.md).
 *
 * A guest frame whose entry has E_COW may be read where it is; whoever is to write takes a frame of its own first. How many VMs
 * use a frame besides one is a u16 for each frame, FRAME_USERS.
 *
 * Laws: a frame with other users has E_COW in the entry of each, and is in no write TLB. An entry with E_COW whose frame has no
 * other users any more just loses it. No two entries of one VM have the same frame.
 * Requires: one thread runs all the vCPUs of the process. (What is shared among threads is never forked this way.)
 */
import * as L from "../layout";
import { noMemory } from "../host";
import { invalidate_frame } from "./blocks";
import { allotFrame, entryOf, frameRecord, give_back, tableAt, tablesIn } from "./frames";
import { newGlobalGeneration } from "./generations";
import { emptyEntry, forgetPages, tlb_flush_all } from "./tlb";

/** Frames copied so far: who keeps an address of guest memory across a call asks whether it is still the one. */
export let copies: u32 = 0;
/** Some frame may have several users. Most processes never have one, and look at nothing. */
let shares: bool = false;

function usersAt(frame: u32): u32 {
  return L.FRAME_USERS + ((frame >> 12) << 1);
}

/** Makes `to`, a new address space with the same memslots, a copy of `from`. No frame is touched; both have all of them. */
export function fork_space(from: u32, to: u32): void {
  shares = true;
  const end = tablesIn(from);
  for (let n: u32 = 0; n < end; n++) {
    const table = tableAt(from, n);
    if (table != 0) forkTable(table, tableAt(to, n));
  }
  store<u32>(to, load<u32>(from, L.S_FRAMES), L.S_FRAMES);
  flush_space(from);
}

function forkTable(from: u32, to: u32): void {
  for (let end = from + 4096; from < end; from += 4, to += 4) {
    let entry = load<u32>(from);
    if ((entry & L.E_PRESENT) != 0) {
      entry |= L.E_COW;
      store<u32>(from, entry);
      const users = usersAt(entry);
      store<u16>(users, <u16>(<u32>load<u16>(users) + 1));
      // The new one's TLBs are empty.
      entry &= ~L.E_ACCESSED;
    }
    store<u32>(to, entry);
  }
}

/** Where `to` has a guest frame in its object only, it gets that of `from`, which was read from there. */
export function share_frame(from: u32, to: u32, gfn: u32): void {
  const at = entryOf(to, gfn);
  const entry = load<u32>(at);
  if ((entry & (L.E_PRESENT | L.E_BACKED)) != L.E_BACKED) return;
  const source = entryOf(from, gfn);
  const frame = load<u32>(source) & 0xfffff000;
  store<u32>(source, load<u32>(source) | L.E_COW);
  store<u32>(at, entry | frame | L.E_PRESENT | L.E_COW);
  store<u16>(usersAt(frame), <u16>(<u32>load<u16>(usersAt(frame)) + 1));
  store<u32>(to, load<u32>(to, L.S_FRAMES) + 1, L.S_FRAMES);
}

/** Empties the TLBs of all vCPUs of a VM. */
export function flush_space(space: u32): void {
  const end = load<u32>(L.PROCESS, L.P_VCPU_COUNT);
  for (let n: u32 = 0; n < end; n++) {
    const vp = load<u32>(L.PROCESS + (n << 2), L.P_VCPUS);
    if (load<u32>(vp, L.SPACE) == space) tlb_flush_all(vp);
  }
}

/**
 * Whether a store to the guest frame gives the VM another frame for code that it runs, maybe now: that waits for an instruction
 * that runs alone.
 */
export function copiesCode(space: u32, gfn: u64): bool {
  if (!shares) return false;
  const at = entryOf(space, gfn);
  if (at == 0) return false;
  const entry = load<u32>(at);
  return (entry & L.E_COW) != 0 && load<u16>(usersAt(entry)) != 0 && load<u32>(frameRecord(entry & 0xfffff000), L.F_BLOCKS) != 0;
}

/** The entry at `at`, which has E_COW, as one to write by; throws where the host has no more frames. */
export function own(space: u32, at: u32): u32 {
  const entry = load<u32>(at);
  const shared = entry & 0xfffff000;
  const users = <u32>load<u16>(usersAt(shared));
  let owned = entry & ~L.E_COW;
  if (users != 0) {
    const frame = allotFrame(false);
    if (frame == 0) noMemory();
    memory.copy(frame, shared, 4096);
    store<u16>(usersAt(shared), <u16>(users - 1));
    owned = (owned & 0xfff) | frame;
    forgetFrame(space, shared, (entry & L.E_ACCESSED) != 0);
    copies++;
  }
  store<u32>(at, owned);
  return owned;
}

/** Gives a guest frame that is to be written to a frame of its own; it is not dirty by that. */
export function unshare(space: u32, gfn: u64): void {
  if (!shares) return;
  const at = entryOf(space, gfn);
  if (at != 0 && (load<u32>(at) & L.E_COW) != 0) own(space, at);
}

/** The VM has another frame in the place of this one. `read`: some TLB may have it. */
function forgetFrame(space: u32, frame: u32, read: bool): void {
  const code = load<u32>(frameRecord(frame), L.F_BLOCKS) != 0;
  if (!read && !code) return;
  const end = load<u32>(L.PROCESS, L.P_VCPU_COUNT);
  for (let n: u32 = 0; n < end; n++) {
    const vp = load<u32>(L.PROCESS + (n << 2), L.P_VCPUS);
    if (load<u32>(vp, L.SPACE) != space) continue;
    if (read) forgetIn(vp, frame);
    if (code) newGlobalGeneration(vp);
  }
}

function forgetIn(vp: u32, frame: u32): void {
  forgetPages(vp);
  const end = vp + L.TLB + 8 * L.TLB_BYTES;
  for (let at = vp + L.TLB; at < end; at += L.TLB_ENTRY_BYTES) if (load<u32>(at, 8) + load<u32>(at) == frame) emptyEntry(at, vp);
}

/** A VM does without the frame of an entry; who was the last to use it gives it back. Requires: E_PRESENT, and no TLB has it. */
export function drop(entry: u32): void {
  const frame = entry & 0xfffff000;
  const users = <u32>load<u16>(usersAt(frame));
  if (users != 0) return store<u16>(usersAt(frame), <u16>(users - 1));
  invalidate_frame(frame);
  give_back(frame);
}

/** Gives back all frames of a VM that is no more. Requires: none of its vCPUs will run. */
export function leave_space(space: u32): void {
  const end = tablesIn(space);
  for (let n: u32 = 0; n < end; n++) {
    const table = tableAt(space, n);
    if (table == 0) continue;
    for (let at = table; at < table + 4096; at += 4) {
      const entry = load<u32>(at);
      store<u32>(at, 0);
      if ((entry & L.E_PRESENT) != 0) drop(entry);
    }
  }
  store<u32>(space, 0, L.S_FRAMES);
}
