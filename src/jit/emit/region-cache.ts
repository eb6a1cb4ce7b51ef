// biome-ignore-all format: chains of emitted instructions read better on one line
/**
 * From region to region: the region cache of a vCPU (vcpu/layout.ts) says where compiled code goes on at an address.
 *
 * The interpreter notes regions there as it finds them by their blocks; a region that is left asks it, and calls the next one
 * in its own place. A loop through many regions so needs neither the interpreter nor the blocks' headers.
 *
 * Laws: an entry holds while its ASID is the present one, as in the jump cache. Whoever takes a region out of the table,
 * or has a better one for a block, empties the caches (`forget_regions`): the table's places are used again.
 * Going on is one way to look at EVENTS and, by the next region's beginning, at the budget: nothing runs for long unasked.
 */
import { blockHeader } from "#memory";
import { area, at, jumpCacheEntries } from "#vcpu";
import { type Code, type Local, W } from "#wasm";

/** The function type of regions: (vp, entry). */
export const regionType = { parameters: ["i32", "i32"], results: [] } as const;
/** Where regions stand in the tables that modules import. */
export const regionTable = 1;

/** Pushes how far the entry for the address `rip` is from the beginning of either cache. */
export function pushCacheOffset(c: Code, rip: Local): void {
  c.get(rip).get(rip).i64(12).op(W.i64_shr_u, W.i64_xor, W.i32_wrap_i64).i32(jumpCacheEntries - 1).op(W.i32_and).i32(4).op(W.i32_shl);
}

/** Notes the region of `block`, if it has one. `slot`: vp and the offset of the entry for `rip`, which was found under `asid`. */
export function noteRegion(c: Code, block: Local, slot: Local, rip: Local, asid: Local): void {
  c.get(block).memory(W.i32_load, blockHeader.B_REGION).if();
  c.get(slot).get(rip).memory(W.i64_store, area.regionCache);
  c.get(slot).get(block).memory(W.i32_load, blockHeader.B_MODE).i32(24).op(W.i32_shl);
  c.get(block).memory(W.i32_load, blockHeader.B_REGION).i32(8).op(W.i32_shl, W.i32_or);
  c.get(block).memory(W.i32_load, blockHeader.B_ENTRY).op(W.i32_or).memory(W.i32_store, area.regionCache + 8);
  c.get(slot).get(asid).memory(W.i32_store, area.regionCache + 12);
  c.end();
}

/**
 * Calls the region at RIP in place of the present one, whose state has been written back; falls through where there is none,
 * or something waits. Uses the locals `x`, `p` and `q`. `type`: index of `regionType`.
 */
export function goOnInRegion(c: Code, vp: Local, { x, p, q }: { readonly x: Local; readonly p: Local; readonly q: Local }, type: number): void {
  const none = c.block();
  c.get(vp).memory(W.i32_load, at.EVENTS).get(vp).memory(W.i32_load, at.LEAVE).op(W.i32_or).brIf(none);
  c.get(vp).memory(W.i64_load, at.RIP).set(x);
  pushCacheOffset(c, x);
  c.get(vp).op(W.i32_add).tee(p).memory(W.i64_load, area.regionCache).get(x).op(W.i64_ne).brIf(none);
  c.get(p).memory(W.i32_load, area.regionCache + 12).tee(q).get(vp).memory(W.i32_load, at.ASID).op(W.i32_ne);
  c.get(q).get(vp).memory(W.i32_load, at.GLOBAL_ASID).op(W.i32_ne, W.i32_and).brIf(none);
  c.get(p).memory(W.i32_load, area.regionCache + 8).tee(q).i32(24).op(W.i32_shr_u).get(vp).memory(W.i32_load, at.MODE).op(W.i32_ne).brIf(none);
  c.get(vp).get(q).i32(0xff).op(W.i32_and).get(q).i32(8).op(W.i32_shr_u).i32(0xffff).op(W.i32_and).returnCallIndirect(type, regionTable);
  c.end();
}
