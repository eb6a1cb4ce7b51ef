// biome-ignore-all format: chains of emitted instructions read better on one line
/**
 * Regions to WebAssembly: one function for each region, a module for a batch of them.
 *
 *     function (vp, entry, left, RIP)
 *       the vCPU is the region's, if it has one of its own, or LEAVE = refused
 *       what the guest maps is what the region was made from, or LEAVE = refused
 *       registers and flags from the record
 *       br_table entry → its block
 *       blocks and loops as structure.ts arranges them; what leaves sets `delta` and `back` and branches to the end
 *     end: RIP = base + delta, the count of instructions, registers and flags back to the record;
 *       on with the region there, in place of this one (region-cache.ts), or back to the interpreter
 *
 * Laws: the budget and EVENTS are looked at where a loop begins (with `exact`, the budget at every block), so that no region
 * runs for long unasked. Leaving in mid-block stands at an instruction's start with all state written back.
 *
 * `left` counts down what is left of the budget; ICOUNT in the record is right only outside of regions and for helpers that
 * ask for the time.
 */
import { assert } from "#base";
import { helperRows, Op, type OpRow, opBytes, opRows } from "#ir";
import { blockHeader, regionRecord } from "#memory";
import { area, at, gpr, Leave } from "#vcpu";
import { A, Code, type CodeObject, type FunctionType, type Label, type Local, link, ModuleBuilder, W } from "#wasm";
import { isBranch, type Region, type RegionBlock } from "../hot/region.ts";
import type { Passes } from "../passes.ts";
import { type FloatKnowledge, type Lane, lanesKnownAt } from "./float-state.ts";
import { followedPointers } from "./followed-pointers.ts";
import { keptObject } from "./kept-regions.ts";
import { flagsAfter, flagsAtStarts, type KnownFlags } from "./known-flags.ts";
import { knownPages } from "./known-pages.ts";
import { ifNotCanonical } from "./memory-operations.ts";
import type { Semantics } from "./op-emitter.ts";
import { eachOperation } from "./operations.ts";
import { goOnInRegion, regionType } from "./region-cache.ts";
import { RegionEmitter, type RegionRegisters, registerOf } from "./region-emitter.ts";
import { RuntimeImports } from "./runtime-calls.ts";
import { nearAccesses } from "./same-page.ts";
import { semanticsOf } from "./semantics.ts";
import { type LoopShape, loopsOf, nodesOf, type Shape, structure } from "./structure.ts";

/** By operation number; undefined for control operations. */
const semantics: readonly (Semantics | undefined)[] = opRows.map((row) => (row.ends || row.name === "call" ? undefined : semanticsOf(row.name)));

/** In `back`: the operation that leaves accesses the stack segment. */
const stackBit = 1 << 30;
/** Nothing has run since the region was entered: the flags in the record are what they were. */
const freshShift = 29;
/** And above this bit: the kind of the flags, where it is known (RegionEmitter.unsettledKind). */
const kindShift = 16;

export interface RegionCode {
  readonly region: Region;
  /** Arena offset of the region's record; 0 for a region of one page. */
  readonly record: number;
  /** The only vCPU that the region runs for, whose place is a constant of its code; 0 where there may be others. */
  readonly vp: number;
}
export interface CompiledBatch {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Of each region the blocks that its entries stand for. Its function is exported by the name `regionName` gives. */
  readonly entries: readonly (readonly number[])[];
}

/** The n-th of a batch. */
export const regionName = (n: number): string => `r${n}`;

export interface EmitOptions {
  /** The budget is exact: it is looked at before every block. */
  readonly exact: boolean;
  readonly passes: Passes;
}

/** Types of functions that regions call through tables: the first two of every module. */
const calledTypes: readonly FunctionType[] = [{ parameters: ["i32", "i32", "i32", "i32"], results: ["i32"] }, regionType];
const helperTypeIndex = 0;
const regionTypeIndex = 1;

/** What a region's function has to be told of where it runs: where its record is, and from `blockSymbols` on where its blocks are. */
const recordSymbol = 0;
const blockSymbols = 1;

/** A region's function, which is the same wherever its blocks lie. */
export interface RegionObject {
  /** Calls by number of the runtime's function. */
  readonly code: CodeObject;
  /** Indexes of the blocks that the region can be entered at. */
  readonly entries: readonly number[];
}

/** Of a memory that holds the vCPUs which regions were made for, in pages of WebAssembly. */
export const memoryPagesOf = (regions: readonly RegionCode[]): number => Math.max(1, ...regions.map(({ vp }) => Math.ceil((vp + area.bytes) / 65536)));

/** `words`: the arena. */
function emitRegion(words: Int32Array, region: RegionCode, options: EmitOptions): RegionObject {
  const { code, entries } = RegionFunction.write(words, region, options);
  return { code: code.object(), entries };
}

/** The functions of some regions as a module. */
function linkRegions(regions: readonly RegionCode[], objects: readonly RegionObject[], options: EmitOptions): CompiledBatch {
  const module = new ModuleBuilder();
  // What lies below a size that V8 knows is read without a thought of traps, and in the instruction that needs it.
  module.importMemory("env", "memory", memoryPagesOf(regions));
  module.importTable("env", "helpers");
  module.importTable("env", "regions");
  for (const type of calledTypes) module.type(type);
  const imports = new RuntimeImports(module);
  const functions = objects.map(({ code }, n) => {
    const { record, region: { blocks } } = regions[n];
    return link(code, (call) => imports.indexOf(call), (symbol) => (symbol === recordSymbol ? record : blocks[symbol - blockSymbols].block));
  });
  functions.forEach((each, n) => module.function(regionType, each, regionName(n)));
  const entries = objects.map((each, n) => each.entries.map((node) => regions[n].region.blocks[node].block));
  return { bytes: module.finish({ hints: options.passes["branch-hints"] }), entries };
}

/**
 * `words`: where the operations of regions lie that are emitted; `arena`: where those do that are kept. `emitted`: is told of each that is not
 * kept.
 */
export function emitRegions(
  words: Int32Array, regions: readonly RegionCode[], options: EmitOptions, arena = words, emitted?: (code: RegionCode, object: RegionObject) => void,
): CompiledBatch {
  const objects = regions.map((each) => {
    if (each.region.kept !== undefined) return keptObject(arena, each.region.kept >>> 2);
    const object = emitRegion(words, each, options);
    emitted?.(each, object);
    return object;
  });
  return linkRegions(regions, objects, options);
}

/** Where a loop or a place behind blocks is, seen from code inside. */
interface Scope {
  readonly outer: Scope | undefined;
  /** The loop around, when this is a loop's body. */
  readonly loop: { readonly shape: LoopShape; readonly top: Label } | undefined;
  /** For each node in this scope: the label in front of the shape that holds it. */
  readonly labels: ReadonlyMap<number, Label>;
  /** The shape of this scope that holds a node. */
  readonly shapes: ReadonlyMap<number, Shape>;
}

class RegionFunction {
  readonly code = new Code(4);
  /** Indexes of the blocks that the region can be entered at. */
  readonly entries: readonly number[];
  readonly #words: Int32Array;
  readonly #region: Region;
  readonly #options: EmitOptions;
  readonly #e: RegionEmitter;
  readonly #nodes: ReadonlyMap<number, number>;
  readonly #predecessors: readonly (readonly number[])[];
  readonly #shapes: readonly Shape[];
  /** By the headers of loops: lanes that hold numbers where the loop begins. */
  readonly #lanes: ReadonlyMap<number, readonly Lane[]>;
  /** What is known of floating point at the ends of blocks that were written. */
  readonly #floats = new Map<number, FloatKnowledge>();
  readonly #flags: readonly (KnownFlags | undefined)[];
  /** Blocks in loops. */
  readonly #looped: ReadonlySet<number>;
  readonly #headers: ReadonlySet<number>;
  // Parameters and locals.
  readonly #vp: Local = 0;
  /** The entry; later the node that a loop with several entries goes on at. */
  readonly #state: Local = 1;
  readonly #left: Local = 2;
  readonly #rip: Local = 3;
  /** `left` at the region's entry. */
  readonly #start: Local;
  /** Where the guest goes on, from the base; and how many instructions of the block were not run. */
  readonly #delta: Local;
  readonly #back: Local;
  /** Leaves with `delta` and `back` set; and with RIP written already. */
  #out: Label | undefined;
  #outAt: Label | undefined;
  #scope: Scope | undefined;
  /** The block that is written may just have been entered, with flags of which nothing is known. */
  #fresh = false;
  /** It is part of a loop. */
  #looping = false;
  /** Instructions of the block that is written which `left` has lost. */
  #counted = 0;

  /** Writes the function; once more where loops turn out to keep numbers in vector registers, so that they need not be looked at. */
  static write(words: Int32Array, code: RegionCode, options: EmitOptions): RegionFunction {
    const first = new RegionFunction(words, code, options, new Map());
    const lanes = first.#lanesOfLoops();
    if (lanes.size === 0) return first;
    const second = new RegionFunction(words, code, options, lanes);
    // Who knows more at the beginning knows no less at the end.
    const after = second.#lanesOfLoops();
    const holds = [...lanes].every(([header, known]) => known.every(({ offset, type }) => after.get(header)?.some((lane) => lane.offset === offset && lane.type === type)));
    return holds ? second : first;
  }

  private constructor(
    words: Int32Array, { region, record, vp }: RegionCode, options: EmitOptions,
    lanes: ReadonlyMap<number, readonly Lane[]>,
  ) {
    this.#lanes = lanes;
    this.#words = words;
    this.#region = region;
    this.#options = options;
    this.#nodes = new Map(region.blocks.map((block, n) => [block.delta, n]));
    const successors = region.blocks.map((block) => block.targets.map((delta) => this.#nodes.get(delta)).filter((node) => node !== undefined));
    this.entries = [...new Set([region.seed, ...headersOf(structure(successors, [region.seed]))])];
    const shapes = structure(successors, this.entries);
    this.#headers = new Set(headersOf(shapes));
    this.#shapes = shapes;
    this.#predecessors = region.blocks.map((_, node) => successors.flatMap((to, from) => (to.includes(node) ? [from] : [])));
    this.#flags = flagsAtStarts(words, region.blocks, successors, this.entries);
    this.#looped = new Set(loopsOf(shapes).flatMap(nodesOf));
    const c = this.code;
    this.#delta = c.local("i32");
    this.#back = c.local("i32");
    this.#start = c.local("i32");
    this.#e = new RegionEmitter(c, region.mode, registersOf(words, region, options.passes), options.passes, vp);
    const isTogether = region.apart !== true;
    if (options.passes["known-pages"] && isTogether) this.#e.pages.slots = knownPages(words, region.blocks, shapes);
    if (options.passes["followed-pointers"]) this.#e.pages.pointers.followed = followedPointers(words, region.blocks, shapes);
    if (options.passes["same-page"] && isTogether) this.#e.pages.near = nearAccesses(words, region.blocks);
    if (vp !== 0) this.#settleVcpu(vp);
    this.#prologue(record !== 0);
    this.#outAt = c.block();
    this.#out = c.block();
    this.#dispatch(shapes);
    this.#e.origin = undefined;
    c.end();
    c.get(this.#vp).get(this.#e.base).get(this.#delta).op(W.i64_extend_i32_s, W.i64_add).tee(this.#rip).memory(W.i64_store, at.RIP);
    c.get(this.#left).get(this.#back).i32(0xffff).op(W.i32_and, W.i32_add).set(this.#left);
    c.get(this.#back).i32(kindShift).op(W.i32_shr_u).i32(0xff).op(W.i32_and);
    this.#e.settleKind();
    c.get(this.#back).i32(stackBit).op(W.i32_and).if();
    c.get(this.#vp);
    this.#e.callRuntime("stack_fault");
    c.end();
    c.end();
    this.#e.storeRegisters();
    c.get(this.#back).i32(1 << freshShift).op(W.i32_and, W.i32_eqz).if();
    this.#e.storeRunFlags();
    c.end();
    goOnInRegion(c, this.#vp, this.#left, this.#rip, this.#e, regionTypeIndex);
    this.#storeCount();
  }

  /** From here on V8 knows where the vCPU's area is: what lies in it has addresses without a register, and indexes need no addition. */
  #settleVcpu(vp: number): void {
    const c = this.code;
    c.get(this.#vp).i32(vp).op(W.i32_ne).unlikely().if();
    this.#refuse();
    c.end();
    c.i32(vp).set(this.#vp);
  }
  /** The base, from RIP and the entry; the mapping looked at; the state into locals. */
  #prologue(hasRecord: boolean): void {
    const c = this.code;
    const vp = this.#vp;
    const { base } = this.#e;
    // RIP is the address of the entry's block.
    c.get(this.#rip);
    this.entries.forEach((node, n) => {
      c.i64(this.#region.blocks[node].delta);
      if (n === 0) return;
      c.get(this.#state).i32(n).op(W.i32_ne, W.select);
    });
    c.op(W.i64_sub).set(base);
    if (hasRecord) {
      c.i32Linked(recordSymbol).memory(W.i32_load, regionRecord.R_VP).get(vp).op(W.i32_ne);
      c.i32Linked(recordSymbol).memory(W.i32_load, regionRecord.R_ASID).tee(this.#delta).get(vp).memory(W.i32_load, at.ASID).op(W.i32_ne);
      c.get(this.#delta).get(vp).memory(W.i32_load, at.GLOBAL_ASID).op(W.i32_ne, W.i32_and, W.i32_or);
      c.i32Linked(recordSymbol).memory(W.i64_load, regionRecord.R_BASE).get(base).op(W.i64_ne, W.i32_or).unlikely().if();
      c.get(vp).i32Linked(recordSymbol).get(base);
      this.#e.callRuntime("verify_region");
      c.op(W.i32_eqz).unlikely().if();
      this.#refuse();
      c.end().end();
    }
    this.#e.loadState();
    c.get(this.#left).set(this.#start);
  }
  /** Pushes the count of retired instructions. */
  #pushCount(): void {
    this.code.get(this.#vp).memory(W.i64_load, at.RUN_END).get(this.#left).op(W.i64_extend_i32_s, W.i64_sub);
  }
  #storeCount(): void {
    this.code.get(this.#vp);
    this.#pushCount();
    this.code.memory(W.i64_store, at.ICOUNT);
  }
  #refuse(): void {
    this.code.get(this.#vp).i32(Leave.refused).memory(W.i32_store, at.LEAVE);
    this.#return();
  }
  /** Back to the interpreter before anything has run. */
  #return(): void {
    this.#storeCount();
    this.code.op(W.return);
  }

  /** All shapes, and the way from the region's entry to them. */
  #dispatch(shapes: readonly Shape[]): void {
    const c = this.code;
    this.#open(shapes, undefined, () => {
      if (this.entries.length === 1) return this.#enterAt(this.entries[0]);
      const stubs = this.entries.map(() => c.block()).reverse();
      c.get(this.#state).brTable(stubs.slice(0, -1), stubs[stubs.length - 1]);
      for (const node of this.entries) {
        c.end();
        this.#enterAt(node);
      }
    });
  }
  #enterAt(node: number): void {
    const c = this.code;
    if (this.#region.size === "small") {
      const block = blockSymbols + node;
      // So hot that it deserves a larger region?
      c.i32Linked(block).i32Linked(block).memory(W.i32_load, blockHeader.B_HEAT).i32(1).op(W.i32_sub).tee(this.#e.q).memory(W.i32_store, blockHeader.B_HEAT);
      c.get(this.#e.q).op(W.i32_eqz).unlikely().if();
      c.get(this.#vp).i32(Leave.hot).memory(W.i32_store, at.LEAVE);
      c.get(this.#vp).i32Linked(block).memory(W.i32_store, at.LEAVE_ARG);
      this.#return();
      c.end();
    }
    this.#goTo(node);
  }

  /** Shapes one behind the other, with a label in front of each; `first` goes to one of them. */
  #open(shapes: readonly Shape[], loop: Scope["loop"], first: () => void): void {
    const c = this.code;
    const labels = new Map<number, Label>();
    const holders = new Map<number, Shape>();
    for (const shape of [...shapes].reverse()) {
      const label = c.block();
      for (const node of nodesOf(shape)) {
        labels.set(node, label);
        holders.set(node, shape);
      }
    }
    this.#scope = { outer: this.#scope, loop, labels, shapes: holders };
    first();
    for (const shape of shapes) {
      c.end();
      if (shape.kind === "node") this.#block(shape.node);
      else this.#loop(shape);
    }
    this.#scope = this.#scope.outer;
  }

  #loop(shape: LoopShape): void {
    const c = this.code;
    const top = c.loop();
    this.#open(shape.body, { shape, top }, () => {
      for (const node of shape.entries) {
        if (node === shape.header) continue;
        c.get(this.#state).i32(node).op(W.i32_eq).unlikely().if();
        c.i32(-1).set(this.#state);
        this.#goTo(node, true);
        c.end();
      }
      this.#goTo(shape.header, true);
    });
    c.op(W.unreachable).end();
  }

  /** On at a node: around a loop, or forward. `entering`: from the top of the innermost loop, whose header is in front. */
  #goTo(node: number, entering = false): void {
    const c = this.code;
    for (let scope = this.#scope; scope !== undefined; scope = scope.outer) {
      if (scope.loop?.shape.header === node && !(entering && scope === this.#scope)) {
        c.br(scope.loop.top);
        return;
      }
      const label = scope.labels.get(node);
      if (label === undefined) continue;
      const shape = scope.shapes.get(node) as Shape;
      const lanes = this.#lanes.get(node);
      if (lanes !== undefined && !entering) this.#e.float.beforeLoop(lanes);
      if (!entering) this.#e.pages.pointers.beforeLoop(node);
      if (shape.kind === "loop" && shape.entries.length > 1) c.i32(shape.header === node ? -1 : node).set(this.#state);
      c.br(label);
      return;
    }
    assert(false, "every block of a region has its place");
  }

  /** On from a block at a position: in the region, if the block's edges say so, or outside of it. */
  #goOn(block: RegionBlock, delta: number): void {
    const node = block.targets.includes(delta) ? this.#nodes.get(delta) : undefined;
    if (node === undefined) this.#leaveAt(delta, 0);
    else {
      if (this.#flags[node] === undefined) this.#e.settleFlags();
      this.#goTo(node);
    }
  }
  #leaveAt(delta: number, back: number): void {
    const c = this.code;
    if (this.#looping) this.#e.recallFlags();
    c.i32(delta).set(this.#delta).i32(back | (this.#e.unsettledKind << kindShift));
    if (this.#fresh) {
      c.get(this.#left);
      if (this.#counted > 0) c.i32(this.#counted).op(W.i32_add);
      c.get(this.#start).op(W.i32_eq).i32(freshShift).op(W.i32_shl, W.i32_or);
    }
    c.set(this.#back).br(this.#out as Label);
  }
  #leaveFor(reason: number, delta: number): void {
    this.code.get(this.#vp).i32(reason).memory(W.i32_store, at.LEAVE);
    this.#leaveAt(delta, 0);
  }

  #block(node: number): void {
    const c = this.code;
    const e = this.#e;
    const block = this.#region.blocks[node];
    const words = this.#words;
    const header = this.#headers.has(node);
    e.origin = this.#flags[node];
    this.#looping = this.#looped.has(node);
    this.#fresh = e.origin !== undefined && this.entries.includes(node);
    this.#counted = 0;
    const lanes = this.#lanes.get(node);
    if (lanes === undefined) e.float.enterBlock(this.entries.includes(node) ? [] : this.#predecessors[node].map((before) => this.#floats.get(before)));
    c.get(this.#left).i32(block.count).op(W.i32_sub).set(this.#left);
    if (this.#options.exact || header || this.entries.includes(node)) {
      c.get(this.#left);
      // One question for both: less than nothing is left, or something waits, and EVENTS is more than what is left.
      if (header) c.get(this.#vp).memory(W.i32_load, at.EVENTS);
      else c.i32(0);
      c.op(W.i32_lt_s).unlikely().if();
      c.get(this.#left).i32(block.count).op(W.i32_add).set(this.#left);
      if (header) {
        // Read again: kept until here, it would be spilled each time round.
        c.get(this.#vp).atomic(A.i32_load, 2, at.EVENTS).if();
        this.#leaveFor(Leave.event, block.delta);
        c.end();
      }
      this.#leaveFor(Leave.limit, block.delta);
      c.end();
    }
    this.#counted = block.count;
    if (lanes !== undefined) e.float.enterLoop(e, lanes);
    let late: LateQuestion | undefined;
    const end = block.ir + (block.irBytes >> 2);
    for (let word = block.ir; word < end; ) {
      const op = words[word] & 0xffff;
      const row = opRows[op];
      e.select(words, word, row.name, block.delta);
      const back = (): number => (block.count - e.count) | (e.stackSegment ? stackBit : 0);
      e.leaveHere = () => this.#leaveAt(block.delta + e.position, back());
      const origin = flagsAfter(words, word, row, e.origin);
      // Whether the flags are what they were, the guest finds out.
      if (row.keepsFlags && origin === undefined) e.settleFlags();
      const meaning = semantics[op];
      const popped = op === Op.canonical ? poppedBeforeJump(words, word, end) : undefined;
      if (popped !== undefined) late = { popped, delta: block.delta + e.position, back: back() };
      else if (meaning !== undefined) meaning(e);
      else if (op === Op.call) this.#call();
      else this.#blockEnd(row, op, block, late);
      e.pages.pointers.after(word);
      e.origin = origin;
      if (row.writesFlags) this.#fresh = false;
      word += opBytes(op) >> 2;
    }
    this.#floats.set(node, e.float.leaveBlock());
  }

  /** Lanes that hold numbers wherever a loop is come round to, by the loops' headers. */
  #lanesOfLoops(): Map<number, Lane[]> {
    const found = new Map<number, Lane[]>();
    for (const loop of loopsOf(this.#shapes)) {
      const inside = new Set(nodesOf(loop));
      const lanes = lanesKnownAt(this.#predecessors[loop.header].filter((node) => inside.has(node)).map((node) => this.#floats.get(node)));
      if (lanes.length > 0) found.set(loop.header, lanes);
    }
    return found;
  }

  #call(): void {
    const c = this.code;
    const e = this.#e;
    const touches = helperRows[e.d].touches;
    // Who asks for the time sees the instructions of its block counted.
    if (touches.includes("i")) this.#storeCount();
    e.syncBefore(touches);
    c.get(e.vp).i32(e.a).i32(e.b).i32(e.imm).i32(e.d).callIndirect(helperTypeIndex, 0).set(e.q);
    e.syncAfter(touches);
    c.get(e.q);
    e.leaveIf();
  }

  #blockEnd(row: OpRow, op: number, block: RegionBlock, late: LateQuestion | undefined): void {
    const c = this.code;
    const e = this.#e;
    switch (op) {
      case Op.jmp:
        return this.#goOn(block, block.delta + e.imm);
      case Op.poll:
        c.get(this.#vp).memory(W.i32_load, at.EVENTS).unlikely().if();
        this.#leaveFor(Leave.event, block.delta + e.imm);
        c.end();
        return this.#goOn(block, block.delta + e.imm);
      case Op.sync:
        return this.#leaveAt(block.delta + e.imm, 0);
      case Op.dispatch:
        e.settleFlags();
        c.get(this.#vp).memory(W.i64_load, at.RIP).set(this.#rip).br(this.#outAt as Label);
        return;
      case Op.jmpi:
        return this.#jumpTo(block, late);
    }
    if (!isBranch(op)) throw new Error(`the operation ${row.name} ends no region's block`);
    if (op === Op.jnz) e.pushD("i8");
    else e.pushCondition(Number((/(\d+)$/.exec(row.name) as RegExpExecArray)[1]));
    c.if();
    this.#goOn(block, block.delta + e.imm);
    c.end();
    this.#goOn(block, block.delta + e.fallthrough);
  }

  /** An indirect jump: to where it went before, if that is in the region; else out. */
  #jumpTo(block: RegionBlock, late: LateQuestion | undefined): void {
    const c = this.code;
    const e = this.#e;
    e.pushA("i64");
    c.set(e.x);
    const inside = block.targets.filter((delta) => this.#nodes.has(delta)).sort((a, b) => a - b);
    if (inside.length > 0) c.get(e.x).get(e.base).op(W.i64_sub).set(e.y);
    this.#search(block, inside);
    if (late !== undefined) this.#askLate(late);
    e.settleFlags();
    c.get(this.#vp).get(e.x).tee(this.#rip).memory(W.i64_store, at.RIP).br(this.#outAt as Label);
  }

  /** Whether the target in x is canonical, which code of the region always is. If not, the jump leaves as if it had not begun. */
  #askLate({ delta, back, popped }: LateQuestion): void {
    const c = this.code;
    const e = this.#e;
    ifNotCanonical(c, e.x);
    if (popped !== 0) e.advance(gpr(4), -popped);
    c.get(this.#vp).i32(0);
    e.callRuntime("raise_target");
    e.leaveHere = () => this.#leaveAt(delta, back);
    e.leaveIf();
    c.end();
  }

  /** On at the one of these deltas, in order, that y is; past this where it is none of them. */
  #search(block: RegionBlock, deltas: readonly number[]): void {
    const c = this.code;
    if (deltas.length <= 3) {
      for (const delta of deltas) {
        c.get(this.#e.y).i64(delta).op(W.i64_eq).if();
        this.#goOn(block, delta);
        c.end();
      }
      return;
    }
    const middle = deltas.length >> 1;
    c.get(this.#e.y).i64(deltas[middle]).op(W.i64_lt_s).if();
    this.#search(block, deltas.slice(0, middle));
    c.else();
    this.#search(block, deltas.slice(middle));
    c.end();
  }
}

/** The question whether a jump's target is canonical, asked where the region knows no such target. */
interface LateQuestion {
  /** What the jump has added to RSP by then. */
  readonly popped: number;
  /** Of the jump's instruction, as `#leaveAt` takes them. */
  readonly delta: number;
  readonly back: number;
}

/**
 * What is added to RSP between a `canonical` and its jump, where nothing else is: in all but calls, which push first. Undefined
 * elsewhere.
 */
function poppedBeforeJump(words: Int32Array, word: number, end: number): number | undefined {
  const rsp = gpr(4);
  const target = words[word + 1] & 0xffff;
  const isOp = (at: number, op: number): boolean => at < end && (words[at] & 0xffff) === op;
  const next = word + (opBytes(Op.canonical) >> 2);
  const pops = isOp(next, Op.lea64) && words[next] >>> 16 === rsp && (words[next + 1] & 0xffff) === rsp && target !== rsp;
  const jump = pops ? next + (opBytes(Op.lea64) >> 2) : next;
  if (!isOp(jump, Op.jmpi) || (words[jump + 1] & 0xffff) !== target) return undefined;
  return pops ? words[next + 2] : 0;
}

const headersOf = (shapes: readonly Shape[]): number[] => loopsOf(shapes).map(({ header }) => header);

/** The fields of an operation's operands, with whether it writes them. */
function eachOperand(words: Int32Array, word: number, row: OpRow, visit: (offset: number, writes: boolean) => void): void {
  if (row.format === "call") return;
  if (row.d !== "" || row.name === "jnz") visit(words[word] >>> 16, row.dWritten);
  if (row.a !== "" && row.format !== "branch") visit(words[word + 1] & 0xffff, isStackOp(row.name));
  if (row.b !== "" && row.format !== "mem2") visit(words[word + 1] >>> 16, false);
  if (row.format === "mem2") visit(words[word + 4] & 0xffff, false);
}
const isStackOp = (name: string): boolean => name === "push64" || name === "pop64" || name === "pushpc";

/** What a region keeps in locals. */
function registersOf(words: Int32Array, region: Region, passes: Passes): RegionRegisters {
  const used = new Set<number>();
  const written = new Set<number>();
  let flagsWritten = false;
  for (const block of region.blocks) {
    eachOperation(words, block, (row, word) => {
      flagsWritten ||= row.writesFlags || (row.format === "call" && helperRows[words[word] >>> 16].touches.includes("f"));
      eachOperand(words, word, row, (offset, writes) => {
        const register = registerOf(offset);
        if (register === undefined || (register >= at.XMM && !passes["vector-locals"])) return;
        used.add(register);
        if (writes) written.add(register);
      });
    });
  }
  return { used, written, flagsWritten };
}
