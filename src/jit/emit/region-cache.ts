// biome-ignore-all format: chains of emitted instructions read better on one line
/**
 * Into compiled code, and from region to region: the jump cache of a vCPU (vcpu/layout.ts) also says where compiled code goes on at
 * an address.
 *
 * The interpreter notes regions there as it finds them by their blocks; a region that is left asks it, and calls the next one
 * in its own place. A loop through many regions so needs neither the interpreter nor the blocks' headers.
 *
 * While compiled code runs, what the interpreter has in another form is in the form of regions: flags are those of RUN_FLAGS, and
 * ICOUNT is RUN_END less what is left. `enterRegion` makes the one from the other, and back again.
 *
 * Laws: a region is that of the entry's block, and holds while the entry does and its epoch is the present one. Whoever takes a region out
 * of the table, or has a better one for a block, begins another epoch (`forget_regions`): the table's places are used again.
 * Going on is one way to look at EVENTS and, by the next region's beginning, at the budget: nothing runs for long unasked.
 */
import { blockHeader } from "#memory";
import { area, at, eventShift, jumpCacheEntries, jumpCacheEntry, jumpCacheEntryLog2 } from "#vcpu";
import { type Code, type Local, W } from "#wasm";

/** The function type of regions: (vp, entry, what is left of the budget, RIP). */
export const regionType = { parameters: ["i32", "i32", "i32", "i64"], results: [] } as const;
/** What compiled code has of its budget at a time: less than any event in EVENTS. */
const mostInstructions = (1 << eventShift) - 1;
const J = jumpCacheEntry;
/** Where regions stand in the tables that modules import. */
export const regionTable = 1;

/** Pushes how far the entry for the address `rip` is from the beginning of the cache. */
export function pushCacheOffset(c: Code, rip: Local): void {
  c.get(rip).get(rip).i64(12).op(W.i64_shr_u, W.i64_xor, W.i32_wrap_i64).i32(jumpCacheEntries - 1).op(W.i32_and).i32(jumpCacheEntryLog2).op(W.i32_shl);
}

/** Notes the region of `block`, if it has one. `slot`: vp and the offset of the entry that it was found in. */
export function noteRegion(c: Code, vp: Local, block: Local, slot: Local): void {
  c.get(block).memory(W.i32_load, blockHeader.B_REGION).if();
  c.get(slot).get(block).memory(W.i32_load, blockHeader.B_MODE).i32(24).op(W.i32_shl);
  c.get(block).memory(W.i32_load, blockHeader.B_REGION).i32(8).op(W.i32_shl, W.i32_or);
  c.get(block).memory(W.i32_load, blockHeader.B_ENTRY).op(W.i32_or).memory(W.i32_store, area.jumpCache + J.J_REGION);
  c.get(slot).get(vp).memory(W.i32_load, at.REGION_EPOCH).memory(W.i32_store, area.jumpCache + J.J_EPOCH);
  c.end();
}

/** Pushes by how much the record shifts the operands of a kind of flags: 64 less their width, nothing for EXPLICIT. */
export function pushFlagsShift(c: Code, kind: () => void): void {
  c.i64(64).i64(8);
  kind();
  c.i64(3).op(W.i64_and, W.i64_shl, W.i64_sub).i64(0);
  kind();
  c.i64(4).op(W.i64_ge_u, W.select);
}

/** Calls the region of `block`, whose place in the table is `place`, for the interpreter. Uses the locals `x`, `y` and `r`. */
export function enterRegion(
  c: Code, vp: Local, block: Local, place: Local, { x, y, r }: { readonly x: Local; readonly y: Local; readonly r: Local }, type: number,
): void {
  const [kind, a, b, carry] = [0, 1, 2, 3].map((n) => at.RUN_FLAGS + 8 * n);
  const convert = (pairs: readonly (readonly [from: number, to: number])[], shift: number): void => {
    pushFlagsShift(c, () => c.get(vp).memory(W.i64_load, pairs[0][0]));
    c.set(y);
    pairs.forEach(([from, to], n) => {
      c.get(vp).get(vp).memory(W.i64_load, from);
      if (n === 1 || n === 2) c.get(y).op(shift);
      c.memory(W.i64_store, to);
    });
  };
  const fields = [[at.CC_KIND, kind], [at.CC_A, a], [at.CC_B, b], [at.CC_C, carry]] as const;
  c.get(vp).get(vp).memory(W.i64_load, at.REGION_ENTRIES).i64(1).op(W.i64_add).memory(W.i64_store, at.REGION_ENTRIES);
  c.get(vp).memory(W.i64_load, at.ICOUNT_LIMIT).get(vp).memory(W.i64_load, at.ICOUNT).tee(x).op(W.i64_sub).tee(y);
  c.i64(mostInstructions).get(y).i64(mostInstructions).op(W.i64_lt_s, W.select, W.i32_wrap_i64).set(r);
  c.get(vp).get(x).get(r).op(W.i64_extend_i32_s, W.i64_add).memory(W.i64_store, at.RUN_END);
  convert(fields, W.i64_shr_u);
  c.get(vp).get(block).memory(W.i32_load, blockHeader.B_ENTRY).get(r).get(vp).memory(W.i64_load, at.RIP).get(place).callIndirect(type, regionTable);
  convert(fields.map(([cc, run]) => [run, cc]), W.i64_shl);
  // It may have called others in its place.
  c.get(vp).get(vp).memory(W.i64_load, at.COMPILED).get(vp).memory(W.i64_load, at.ICOUNT).op(W.i64_add).get(x).op(W.i64_sub).memory(W.i64_store, at.COMPILED);
}

/**
 * Calls the region at `rip` in place of the present one, whose state has been written back; falls through where there is none,
 * or something waits. `rip` is in the record, too. Uses the locals `p` and `q`. `type`: index of `regionType`.
 */
export function goOnInRegion(c: Code, vp: Local, left: Local, rip: Local, { p, q }: { readonly p: Local; readonly q: Local }, type: number): void {
  const none = c.block();
  c.get(vp).memory(W.i32_load, at.EVENTS).get(vp).memory(W.i32_load, at.LEAVE).op(W.i32_or).brIf(none);
  pushCacheOffset(c, rip);
  c.get(vp).op(W.i32_add).tee(p).memory(W.i64_load, area.jumpCache + J.J_RIP).get(rip).op(W.i64_ne).brIf(none);
  c.get(p).memory(W.i32_load, area.jumpCache + J.J_ASID).tee(q).get(vp).memory(W.i32_load, at.ASID).op(W.i32_ne);
  c.get(q).get(vp).memory(W.i32_load, at.GLOBAL_ASID).op(W.i32_ne, W.i32_and).brIf(none);
  c.get(p).memory(W.i32_load, area.jumpCache + J.J_EPOCH).get(vp).memory(W.i32_load, at.REGION_EPOCH).op(W.i32_ne).brIf(none);
  c.get(p).memory(W.i32_load, area.jumpCache + J.J_REGION).tee(q).i32(24).op(W.i32_shr_u).get(vp).memory(W.i32_load, at.MODE).op(W.i32_ne).brIf(none);
  c.get(vp).get(q).i32(0xff).op(W.i32_and).get(left).get(rip).get(q).i32(8).op(W.i32_shr_u).i32(0xffff).op(W.i32_and).returnCallIndirect(type, regionTable);
  c.end();
}
