// biome-ignore-all format: chains of emitted instructions read better on one line
/**
 * Regions to WebAssembly: one function for each region, a module for a batch of them.
 *
 *     entry k: state = k; goto dispatch
 *     loop dispatch:  br_table state → block k
 *       block 0 … block n in order of address; an edge forward branches straight to its block, an edge backward sets
 *       state and continues the loop; an edge out of the region writes RIP and returns
 *
 * Laws: the budget is checked where a region is entered and at loop heads (with `exact`: at every block), EVENTS at loop heads,
 * so that no region runs for long unasked. Leaving in mid-block stands at an instruction's start with all state written back.
 */
import { helperRows, type OpRow, opBytes, opRows } from "#ir";
import { at, Leave } from "#vcpu";
import { Code, type Label, type Local, ModuleBuilder, W } from "#wasm";
import { isBranch, type Region } from "../hot/region.ts";
import { type KnownFlags, knownFlagsAfter } from "./condition.ts";
import type { Semantics } from "./op-emitter.ts";
import { RegionEmitter } from "./region-emitter.ts";
import { runtimeCalls } from "./runtime-calls.ts";
import { semanticsOf } from "./semantics.ts";

/** By operation number; undefined for control operations. */
const semantics: readonly (Semantics | undefined)[] = opRows.map((row) => (isControl(row) ? undefined : semanticsOf(row.name)));

function isControl(row: OpRow): boolean {
  return row.ends || row.name === "call";
}

export interface CompiledBatch {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Names of the exported functions, in the order of regions and of their entries. */
  readonly exports: readonly (readonly string[])[];
}

/** `words`: the arena. */
export function emitRegions(words: Int32Array, regions: readonly Region[], exact: boolean): CompiledBatch {
  const module = new ModuleBuilder();
  module.importMemory("env", "memory");
  module.importTable("env", "helpers");
  const imports = new Map<string, number>();
  for (const [name, type] of Object.entries(runtimeCalls)) imports.set(name, module.importFunction("runtime", name, type));
  const helperType = module.type({ parameters: ["i32", "i32", "i32", "i32"], results: ["i32"] });
  const exports = regions.map((region, n) => {
    const body = emitRegion(words, region, exact, imports, helperType);
    const index = module.function({ parameters: ["i32", "i32"], results: [] }, body);
    return region.entries.map((_, entry) => {
      const name = `r${n}e${entry}`;
      const wrapper = new Code(1);
      wrapper.get(0).i32(region.entries[entry]).call(index);
      module.function({ parameters: ["i32"], results: [] }, wrapper, name);
      return name;
    });
  });
  return { bytes: module.finish(), exports };
}

function emitRegion(words: Int32Array, region: Region, exact: boolean, imports: ReadonlyMap<string, number>, helperType: number): Code {
  const c = new Code(2);
  const vp = 0;
  const state: Local = 1;
  const { used, written, flagsWritten } = registersOf(words, region);
  const e = new RegionEmitter(c, imports, region.mode, used, written);
  e.flagsWritten = flagsWritten;
  const icount = c.local("i64");
  const icountAtEntry = c.local("i64");
  const limit = c.local("i64");
  const index = new Map(region.blocks.map((block, n) => [block.offset, n]));
  const heads = new Set(region.entries);
  const knownAt = knownFlagsAt(words, region, index);

  c.get(vp).memory(W.i64_load, at.ICOUNT).tee(icount).set(icountAtEntry);
  c.get(vp).memory(W.i64_load, at.ICOUNT_LIMIT).set(limit);
  // RIP is the address of the entry's block: of the page, without its low bits.
  c.get(vp).memory(W.i64_load, at.RIP).i64(-4096).op(W.i64_and).set(e.pageBase);
  e.loadState();

  const out = c.block();
  const dispatch = c.loop();
  const labels: Label[] = region.blocks.map(() => c.block()).reverse();
  c.get(state).brTable(labels.slice(0, -1), labels[labels.length - 1]);

  /** RIP = the position in the page; then out, LEAVE being set. */
  const leaveAt = (offset: number): void => {
    c.get(vp).get(e.pageBase).i64(offset).op(W.i64_add).memory(W.i64_store, at.RIP);
    c.br(out);
  };
  const leaveFor = (reason: number, offset: number): void => {
    c.get(vp).i32(reason).memory(W.i32_store, at.LEAVE);
    leaveAt(offset);
  };

  region.blocks.forEach((block, n) => {
    c.end();
    e.known = knownAt[n];
    e.float.forget();
    const goTo = (offset: number): void => {
      const to = index.get(offset);
      if (to === undefined) return leaveAt(offset);
      if (to > n) c.br(labels[to]);
      else c.i32(to).set(state).br(dispatch);
    };
    if (heads.has(n)) {
      c.get(vp).memory(W.i32_load, at.EVENTS).if();
      leaveFor(Leave.event, block.offset);
      c.end();
    }
    c.get(icount).i64(block.count).op(W.i64_add).set(icount);
    if (exact || heads.has(n)) {
      c.get(icount).get(limit).op(W.i64_gt_u).if();
      c.get(icount).i64(block.count).op(W.i64_sub).set(icount);
      leaveFor(Leave.limit, block.offset);
      c.end();
    }
    const end = block.ir + (block.irBytes >> 2);
    for (let word = block.ir; word < end; ) {
      const op = words[word] & 0xffff;
      const row = opRows[op];
      e.select(words, word, row.name, block.offset);
      e.leaveHere = () => {
        if (e.stackSegment) {
          c.get(vp);
          e.callRuntime("stack_fault");
        }
        c.get(icount).i64(block.count - e.count).op(W.i64_sub).set(icount);
        leaveAt(block.offset + e.position);
      };
      const meaning = semantics[op];
      if (meaning !== undefined) meaning(e);
      else if (row.name === "call") emitCall(e, helperType, icount);
      else emitEnd(e, row, op, block.offset, goTo, leaveAt, out);
      e.known = knownAfter(row, e.known);
      word += opBytes(op) >> 2;
    }
  });
  c.end();
  c.end();
  e.storeState();
  c.get(vp).get(icount).memory(W.i64_store, at.ICOUNT);
  c.get(vp).get(vp).memory(W.i64_load, at.COMPILED).get(icount).op(W.i64_add).get(icountAtEntry).op(W.i64_sub).memory(W.i64_store, at.COMPILED);
  return c;
}

function emitCall(e: RegionEmitter, helperType: number, icount: Local): void {
  const c = e.code;
  const touches = helperRows[e.d].touches;
  if (touches.includes("i")) c.get(e.vp).get(icount).memory(W.i64_store, at.ICOUNT);
  e.syncBefore(touches);
  c.get(e.vp).i32(e.a).i32(e.b).i32(e.imm).i32(e.d).callIndirect(helperType, 0).set(e.q);
  e.syncAfter(touches);
  c.get(e.q);
  e.leaveIf();
}

function emitEnd(
  e: RegionEmitter, row: OpRow, op: number, offset: number, goTo: (offset: number) => void, leaveAt: (offset: number) => void, out: Label,
): void {
  const c = e.code;
  switch (row.name) {
    case "jmp":
      return goTo(offset + e.imm);
    case "sync":
      return leaveAt(offset + e.imm);
    case "dispatch":
      c.br(out);
      return;
    case "jmpi":
      c.get(e.vp);
      e.pushA("i64");
      c.memory(W.i64_store, at.RIP).br(out);
      return;
  }
  if (!isBranch(op)) throw new Error(`the operation ${row.name} ends no region's block`);
  if (row.name === "jnz") e.pushD("i8");
  else {
    const [, known, cc] = /^jcc(sub|logic|)(\d+)$/.exec(row.name) as RegExpExecArray;
    e.pushCondition(Number(cc), known as "" | "sub" | "logic");
  }
  c.if();
  goTo(offset + e.imm);
  c.end();
  goTo(offset + e.fallthrough);
}

/** Which of GPR and TEMP a region reads or writes, by slot. */
function registersOf(words: Int32Array, region: Region): { used: Set<number>; written: Set<number>; flagsWritten: boolean } {
  const used = new Set<number>();
  const written = new Set<number>();
  let flagsWritten = false;
  const touch = (offset: number, writes: boolean): void => {
    if (offset >= at.RIP) return;
    used.add(offset >> 3);
    if (writes) written.add(offset >> 3);
  };
  for (const block of region.blocks) {
    const end = block.ir + (block.irBytes >> 2);
    for (let word = block.ir; word < end; ) {
      const op = words[word] & 0xffff;
      const row = opRows[op];
      flagsWritten ||= row.writesFlags;
      if (row.format === "call") flagsWritten ||= helperRows[words[word] >>> 16].touches.includes("f");
      else {
        if (row.d !== "" || row.name === "jnz") touch(words[word] >>> 16, row.dWritten);
        if (row.a !== "" && row.format !== "branch") touch(words[word + 1] & 0xffff, isStackOp(row.name));
        if (row.b !== "" && row.format !== "mem2") touch(words[word + 1] >>> 16, false);
        if (row.format === "mem2") touch(words[word + 4] & 0xffff, false);
      }
      word += opBytes(op) >> 2;
    }
  }
  return { used, written, flagsWritten };
}
const isStackOp = (name: string): boolean => name === "push64" || name === "pop64" || name === "pushpc";

function knownAfter(row: OpRow, before: KnownFlags): KnownFlags {
  if (row.name === "call") return "";
  return row.writesFlags ? knownFlagsAfter(row.name) : before;
}

/** What is known of the flags where each block starts: what all its predecessors agree on; nothing at entries. */
function knownFlagsAt(words: Int32Array, region: Region, index: ReadonlyMap<number, number>): KnownFlags[] {
  const entries = new Set(region.entries);
  const known: (KnownFlags | undefined)[] = region.blocks.map((_, n) => (entries.has(n) ? "" : undefined));
  for (let changed = true; changed; ) {
    changed = false;
    region.blocks.forEach((block, n) => {
      const start = known[n];
      if (start === undefined) return;
      let now: KnownFlags = start;
      const end = block.ir + (block.irBytes >> 2);
      for (let word = block.ir; word < end; word += opBytes(words[word] & 0xffff) >> 2) now = knownAfter(opRows[words[word] & 0xffff], now);
      for (const target of block.targets) {
        const to = index.get(target);
        if (to === undefined) continue;
        const merged: KnownFlags = known[to] === undefined || known[to] === now ? now : "";
        if (merged !== known[to]) {
          known[to] = merged;
          changed = true;
        }
      }
    });
  }
  return known.map((k) => k ?? "");
}
