/**
 * Loops that follow pointers: lists, trees, chains of a hash table.
 *
 * There each access waits for a load, and the look-up in the TLB lies on the way from load to load. So each place that holds a pointer
 * has a *hint*, where in the arena that pointer led the last time, in tables of the vCPU (vcpu/layout.ts). The access goes on from the hint
 * at once, and what the look-up says is compared with it: a branch that the processor predicts, so that nothing waits for the look-up, nor
 * even for the pointer. (Value prediction: Lipasti, Wilkerson, Shen 1996.)
 *
 * A hint also says where the hints begin of the pointers that lie where it leads: from hint to hint there is one load. That is a hash of
 * the address that the guest knows the place by. What lies in a row there has hints of its own, in whatever frames it is. (By places in
 * the arena, 64 pages in as many frames have the tables to themselves in one of three.)
 *
 * A pointer register has three locals: *hint*, *spot*, the hint's place in the tables, and *next*, the place of those that it leads to. A load
 * of the pointer sets them, a move copies them, and the accesses by it use them. Each loop begins with near hints, of which there are few, and
 * goes over to far ones where those do not do (runtime/memory/pointers.ts). Where these are wrong too often, none is used (a *trust* below
 * zero): the loop goes on with spots that lead nowhere, until it begins anew some time later.
 *
 * Law: a hint is only ever compared with. What is accessed is what the look-up gives in this access.
 */
import { opRows } from "#ir";
import { at, gpr, pointerTrusts } from "#vcpu";
import type { RegionBlock } from "../hot/region.ts";
import { eachOperation } from "./operations.ts";
import { loopsOf, nodesOf, type Shape } from "./structure.ts";

/** A register that is such a pointer in a loop. */
export interface Pointer {
  readonly register: number;
  /** Which trust is its loop's. */
  readonly trust: number;
}

/** Operations that have to do with pointers, by the words that they start at. */
export interface FollowedPointers {
  /** Loads of pointers, and by which ones; `field`: how far behind where those point, in words of 8 bytes. */
  readonly loads: ReadonlyMap<number, { readonly to: Pointer; readonly from: Pointer; readonly field: number }>;
  readonly moves: ReadonlyMap<number, { readonly to: Pointer; readonly from: Pointer }>;
  /** Accesses by pointers. */
  readonly uses: ReadonlyMap<number, Pointer>;
  /** By the headers of loops: pointers that are followed there. */
  readonly loops: ReadonlyMap<number, readonly Pointer[]>;
}

export const noPointers: FollowedPointers = { loads: new Map(), moves: new Map(), uses: new Map(), loops: new Map() };

const rsp = gpr(4);
const isPointerLoad = opRows.map(({ name }) => /^ld(32|64)$/.test(name));
const isMove = opRows.map(({ name }) => name === "mov64");
const isAccess = opRows.map(({ format, name }) => format === "mem" && /^(ld|st)(?!.*x$)/.test(name));

/** What a register gets in a loop: what another one has, or what lies where another one points. */
interface Source {
  readonly word: number;
  readonly from: number;
  readonly loads: boolean;
}

/** Of the innermost loops. */
export function followedPointers(
  words: Int32Array,
  blocks: readonly RegionBlock[],
  shapes: readonly Shape[],
): FollowedPointers {
  const loads = new Map<number, { to: Pointer; from: Pointer; field: number }>();
  const moves = new Map<number, { to: Pointer; from: Pointer }>();
  const uses = new Map<number, Pointer>();
  const loops = new Map<number, Pointer[]>();
  for (const loop of loopsOf(shapes)) {
    if (loop.body.some(({ kind }) => kind === "loop")) continue;
    const inside = nodesOf(loop).map((node) => blocks[node]);
    const sources = sourcesIn(words, inside);
    const trust = shapeOf(inside, blocks[loop.header].delta) % pointerTrusts;
    const pointers = new Map<number, Pointer>();
    for (const register of sources.keys())
      if (register < at.TEMP && isFollowed(register, sources)) pointers.set(register, { register, trust });
    if (pointers.size === 0) continue;
    loops.set(loop.header, [...pointers.values()]);
    for (const [register, to] of pointers) {
      for (const source of sources.get(register) ?? []) {
        const from = pointers.get(source.from);
        if (from === undefined) continue;
        if (source.loads) loads.set(source.word, { to, from, field: words[source.word + 2] >> 3 });
        else moves.set(source.word, { to, from });
      }
    }
    for (const block of inside) {
      eachOperation(words, block, (_, word) => {
        const pointer = pointers.get(words[word + 1] & 0xffff);
        if (isAccess[words[word] & 0xffff] && pointer !== undefined) uses.set(word, pointer);
      });
    }
  }
  return { loads, moves, uses, loops };
}

/** A number of a loop, which is the same wherever its blocks lie in memory and in the region. */
const shapeOf = (blocks: readonly RegionBlock[], header: number): number =>
  blocks.reduce((sum, { delta, irBytes }) => Math.imul(sum ^ (delta - header), 0x9e3779b1) + irBytes, 0) >>> 7;

/** Registers that get nothing in a loop but by loads and moves from each other, and how. */
function sourcesIn(words: Int32Array, blocks: readonly RegionBlock[]): Map<number, Source[]> {
  const sources = new Map<number, Source[]>();
  const others = new Set<number>([rsp]);
  for (const block of blocks) {
    eachOperation(words, block, (row, word) => {
      if (row.format === "call" || !row.dWritten) return;
      const op = words[word] & 0xffff;
      const to = words[word] >>> 16;
      if (to >= at.RIP) return;
      const register = to & ~7;
      const from = words[word + 1] & 0xffff;
      if (to !== register || !(isPointerLoad[op] || isMove[op]) || from >= at.RIP) others.add(register);
      else sources.set(register, [...(sources.get(register) ?? []), { word, from, loads: isPointerLoad[op] }]);
    });
  }
  for (let before = -1; before !== sources.size; ) {
    before = sources.size;
    for (const [register, all] of sources)
      if (others.has(register) || all.some(({ from }) => !sources.has(from))) sources.delete(register);
  }
  return sources;
}

/** Whether a register comes from itself, a turn before, by way of a load. */
function isFollowed(register: number, sources: ReadonlyMap<number, readonly Source[]>): boolean {
  const reached = new Set<number>();
  const loaded = new Set<number>();
  const visit = (from: number, byLoad: boolean): void => {
    const seen = byLoad ? loaded : reached;
    if (seen.has(from)) return;
    seen.add(from);
    for (const source of sources.get(from) ?? []) visit(source.from, byLoad || source.loads);
  };
  visit(register, false);
  // `register` itself is reached without a load at once, and by one where it is on a cycle.
  return loaded.has(register);
}
