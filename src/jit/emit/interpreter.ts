// biome-ignore-all format: short cases read better on one line
/**
 * The IR interpreter, generated: one WebAssembly function `run(vp, block)` that finds blocks, walks their operations
 * through one br_table, enters compiled regions and delivers faults, until something needs the TypeScript side.
 *
 * Operands are looked up at run time: an operand is 16 bits of the encoding, an offset from `vp`. Operations past
 * `innerOps` (vectors and floating point) live in a second function, so that V8 optimises the hot one soon.
 *
 * run(vp, block): block 0 starts at RIP; else that block is run first, whatever EVENTS says. Returns with LEAVE set.
 */
import { type FieldType, FlagsClass, flagsKind, innerOps, Op, opBytes, opRows, type SizeLog2, targetsAt } from "#ir";
import { blockHeader } from "#memory";
import { area, at, jumpCacheEntry, Leave, Mode, tlbBytes, tlbEntries } from "#vcpu";
import { Code, type FunctionType, type Label, type Local, ModuleBuilder, V, W } from "#wasm";
import { FloatState, type FloatType } from "./float-state.ts";
import { pushCondition } from "./native-flags.ts";
import { Intent, type OpEmitter, type PushType } from "./op-emitter.ts";
import { enterRegion, noteRegion, pushCacheOffset, regionType } from "./region-cache.ts";
import { runtimeCalls } from "./runtime-calls.ts";
import { semanticsOf } from "./semantics.ts";

const helperType: FunctionType = { parameters: ["i32", "i32", "i32", "i32"], results: ["i32"] };

const loadOf: Record<Exclude<PushType, "v128">, number> = {
  i8: W.i32_load8_u, i16: W.i32_load16_u, i32: W.i32_load, w32: W.i32_load, i64: W.i64_load, f32: W.f32_load, f64: W.f64_load,
};

/** Where an indirect jump has its link. */
const targetLink = 8;
/** Names of the operation's 16-bit parts. */
const part = { d: 2, a: 4, b: 6, imm: 8, position: 12, count: 14, c: 16 } as const;

class InterpreterEmitter implements OpEmitter {
  readonly code: Code;
  readonly vp: Local = 0;
  readonly pc: Local;
  readonly tlb: Local;
  readonly x: Local;
  readonly y: Local;
  readonly z: Local;
  readonly p: Local;
  readonly q: Local;
  readonly r: Local;
  readonly u: Local;
  readonly v: Local;
  readonly float: FloatState;
  readonly #imports: ReadonlyMap<string, number>;
  /** Where leaving goes. */
  leaveLabel: Label | undefined;
  #indexed = false;

  constructor(code: Code, pc: Local, imports: ReadonlyMap<string, number>) {
    this.code = code;
    this.pc = pc;
    this.tlb = code.local("i32");
    this.p = code.local("i32");
    this.q = code.local("i32");
    this.r = code.local("i32");
    this.x = code.local("i64");
    this.y = code.local("i64");
    this.z = code.local("i64");
    this.u = code.local("v128");
    this.v = code.local("v128");
    this.float = new FloatState(code, this.vp, false);
    this.#imports = imports;
  }

  emit(name: string): void {
    this.#indexed = name.endsWith("x") && /^(ld|st|lea)/.test(name);
    semanticsOf(name)(this);
  }

  /** Pushes the address of the field that a part of the operation names. */
  pushField(which: keyof typeof part): void {
    this.code.get(this.vp).get(this.pc).memory(W.i32_load16_u, part[which]).op(W.i32_add);
  }
  #push(which: keyof typeof part, type: PushType): void {
    this.pushField(which);
    if (type === "v128") this.code.vectorMemory(V.v128_load, 0);
    else this.code.memory(loadOf[type], 0);
  }
  pushA(type: PushType): void {
    this.#push("a", type);
  }
  pushB(type: PushType): void {
    this.#push("b", type);
  }
  pushLane(offset: number, type: FloatType): void {
    this.code.get(this.vp).memory(loadOf[type], offset);
  }
  pushD(type: FieldType): void {
    this.#push("d", type);
  }
  pushC(type: FieldType): void {
    this.#push("c", type);
  }
  pushImm32(): void {
    this.code.get(this.pc).memory(W.i32_load, part.imm);
  }
  pushImm64(): void {
    this.code.get(this.pc).memory(W.i64_load, part.imm);
  }
  #write(which: keyof typeof part, type: PushType, value: () => void): void {
    this.pushField(which);
    value();
    const c = this.code;
    switch (type) {
      case "i8":
        c.memory(W.i32_store8, 0);
        break;
      case "i16":
        c.memory(W.i32_store16, 0);
        break;
      case "w32":
        c.memory(W.i32_store, 0);
        break;
      case "i32":
        c.op(W.i64_extend_i32_u).memory(W.i64_store, 0);
        break;
      case "i64":
        c.memory(W.i64_store, 0);
        break;
      case "f32":
        c.memory(W.f32_store, 0);
        break;
      case "f64":
        c.memory(W.f64_store, 0);
        break;
      case "v128":
        c.vectorMemory(V.v128_store, 0);
    }
  }
  write(type: PushType, value: () => void): void {
    this.#write("d", type, value);
  }
  writeA(type: FieldType, value: () => void): void {
    this.#write("a", type, value);
  }

  setFlags(cls: FlagsClass, size: SizeLog2, a: () => void, b?: () => void, carry?: () => void): void {
    const c = this.code;
    const store = (field: number, value: () => void, shifts: boolean): void => {
      c.get(this.vp);
      value();
      if (shifts && size < 3 && cls !== FlagsClass.EXPLICIT) c.i64(64 - (8 << size)).op(W.i64_shl);
      c.memory(W.i64_store, field);
    };
    store(at.CC_A, a, true);
    if (b) store(at.CC_B, b, true);
    if (carry) store(at.CC_C, carry, false);
    c.get(this.vp).i32(flagsKind(cls, size)).memory(W.i32_store, at.CC_KIND);
  }
  pushCondition(cc: number, known: "" | "sub" | "logic"): void {
    const c = this.code;
    // Parity needs the low byte, which stands elsewhere in the record.
    if (known === "" || cc >> 1 === 5) {
      c.get(this.vp).i32(cc);
      this.callRuntime("condition");
      return;
    }
    // At the top of 64 bits operands of any width compare as those of 64.
    pushCondition(c, cc, { cls: known === "sub" ? FlagsClass.SUB : FlagsClass.LOGIC, size: 3 }, {
      a: () => c.get(this.vp).memory(W.i64_load, at.CC_A),
      b: () => c.get(this.vp).memory(W.i64_load, at.CC_B),
      c: () => c.get(this.vp).memory(W.i64_load, at.CC_C),
      highProduct: () => this.callRuntime("mulhs64"),
    });
  }
  pushCarry(): void {
    this.code.get(this.vp);
    this.callRuntime("carry");
  }
  pushFlags(): void {
    this.code.get(this.vp);
    this.callRuntime("flags");
  }

  address(): void {
    const c = this.code;
    this.pushA("i64");
    if (this.#indexed) {
      this.pushB("i64");
      c.get(this.pc).memory(W.i32_load16_u, part.position).i32(14).op(W.i32_shr_u, W.i64_extend_i32_u, W.i64_shl, W.i64_add);
    }
    c.get(this.pc).memory(W.i64_load32_s, part.imm).op(W.i64_add).set(this.x);
  }
  /** p = TLB entry, z = offset in the page where the tag matches. */
  #probe(intent: Intent): void {
    const c = this.code;
    const table = intent === Intent.read ? 0 : tlbBytes;
    c.get(this.x).i64(8).op(W.i64_shr_u, W.i32_wrap_i64).i32((tlbEntries - 1) << 4).op(W.i32_and).get(this.tlb).op(W.i32_add).tee(this.p);
    c.memory(W.i64_load, table).get(this.x).op(W.i64_xor).set(this.z);
  }
  /** p = the arena address where the TLB entry p serves. */
  #hit(intent: Intent): void {
    const table = intent === Intent.read ? 0 : tlbBytes;
    this.code.get(this.p).memory(W.i32_load, table + 8).get(this.x).op(W.i32_wrap_i64, W.i32_add).set(this.p);
  }
  load(bytes: number, intent: Intent, load: (from: number) => void): void {
    const c = this.code;
    this.#probe(intent);
    c.get(this.z).i64(4096 - bytes).op(W.i64_gt_u).if();
    c.get(this.vp).get(this.x).i32(bytes).i32(intent);
    this.callRuntime("interpreter_access");
    c.tee(this.p).op(W.i32_eqz).brIf(this.leaveLabel as Label);
    c.else();
    this.#hit(intent);
    c.end();
    c.get(this.p);
    load(0);
  }
  store(bytes: number, store: (from: number) => void): void {
    const c = this.code;
    this.#probe(Intent.write);
    c.get(this.z).i64(4096 - bytes).op(W.i64_gt_u).if();
    c.get(this.vp).get(this.x).i32(bytes).i32(Intent.write);
    this.callRuntime("interpreter_access");
    this.#storeAndCommit(bytes, store);
    c.else();
    this.#hit(Intent.write);
    c.get(this.p);
    store(0);
    c.end();
  }
  exclusive(bytes: number, update: (from: number) => void): void {
    const c = this.code;
    this.#probe(Intent.modify);
    c.get(this.z).i64(4096 - bytes).op(W.i64_gt_u);
    if (bytes > 1) c.get(this.x).op(W.i32_wrap_i64).i32(bytes - 1).op(W.i32_and, W.i32_or);
    c.if();
    c.get(this.vp).get(this.x).i32(bytes);
    this.callRuntime("access_exclusive");
    this.#storeAndCommit(bytes, update);
    c.else();
    this.#hit(Intent.modify);
    c.get(this.p);
    update(0);
    c.end();
  }
  /** With the answer of `access` on the stack. */
  #storeAndCommit(bytes: number, store: (from: number) => void): void {
    const c = this.code;
    c.tee(this.p).op(W.i32_eqz).brIf(this.leaveLabel as Label);
    c.get(this.p);
    store(0);
    c.get(this.p).get(this.vp).i32(at.BOUNCE).op(W.i32_add, W.i32_eq).if();
    c.get(this.vp).get(this.x).i32(bytes);
    this.callRuntime("commit");
    c.op(W.i32_eqz).brIf(this.leaveLabel as Label);
    c.end();
  }
  leaveIf(): void {
    this.code.brIf(this.leaveLabel as Label);
  }
  callRuntime(name: string): void {
    const index = this.#imports.get(name);
    if (index === undefined) throw new Error(`the runtime's ${name} is not declared`);
    this.code.call(index);
  }
}

/** Imports: env.memory, env.helpers and env.regions (tables), runtime.* (see runtime-calls.ts). Exports: run. */
export function generateInterpreter(): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  module.importMemory("env", "memory");
  module.importTable("env", "helpers");
  module.importTable("env", "regions");
  const imports = new Map<string, number>();
  for (const [name, type] of Object.entries(runtimeCalls)) imports.set(name, module.importFunction("runtime", name, type));

  const outer = generateOuter(imports);
  const outerIndex = module.function({ parameters: ["i32", "i32", "i32"], results: ["i32"] }, outer);
  const run = generateRun(imports, outerIndex, module.type(helperType), module.type(regionType));
  module.function({ parameters: ["i32", "i32"], results: [] }, run, "run");
  return module.finish();
}

/**
 * Operations that often come after this one. It goes on to them by a branch of its own, which a processor foresees better than the
 * one jump by which all operations are reached. Law: they stand behind it in the table.
 */
function likelyNext(name: string): readonly number[] {
  if (name === "pushpc") return [Op.jmp];
  if (name === "canonical") return [Op.jmpi];
  if (/^test\d+i?$/.test(name)) return [Op.jcclogic4, Op.jcclogic5];
  if (/^cmp\d+i?$/.test(name)) return [Op.jccsub4, Op.jccsub5];
  return [];
}

/** outer(vp, pc, tlb): one operation at or past innerOps; its bytes, or 0 to leave. */
function generateOuter(imports: ReadonlyMap<string, number>): Code {
  const c = new Code(3);
  const e = new InterpreterEmitter(c, 1, imports);
  c.get(2).set(e.tlb);
  const rows = opRows.slice(innerOps);
  e.leaveLabel = c.block();
  const labels = rows.map(() => c.block()).reverse();
  c.get(1).memory(W.i32_load16_u, 0).i32(innerOps).op(W.i32_sub);
  c.brTable(labels, labels[labels.length - 1]);
  rows.forEach((row, n) => {
    c.end();
    e.emit(row.name);
    c.i32(opBytes(innerOps + n)).op(W.return);
  });
  c.end();
  c.i32(0);
  return c;
}

function generateRun(imports: ReadonlyMap<string, number>, outerIndex: number, helperTypeIndex: number, regionTypeIndex: number): Code {
  const c = new Code(2);
  const vp = 0;
  const block: Local = 1;
  const pc = c.local("i32");
  const linkAt = c.local("i32");
  /** Where the link at `linkAt` leads: to another page. */
  const across = c.local("i32");
  const helperResult = c.local("i32");
  const e = new InterpreterEmitter(c, pc, imports);
  const B = blockHeader;
  const J = jumpCacheEntry;

  const setLeave = (reason: number): void => {
    c.get(vp).i32(reason).memory(W.i32_store, at.LEAVE);
  };
  const exit = c.block();
  const find = c.loop();
  {
    // Find the block for RIP.
    const entered = c.block();
    c.get(block).brIf(entered);
    c.get(vp).memory(W.i32_load, at.EVENTS).if();
    setLeave(Leave.event);
    c.br(exit).end();
    c.get(vp).memory(W.i64_load, at.RIP).set(e.x);
    pushCacheOffset(c, e.x);
    c.get(vp).op(W.i32_add).set(e.p);
    const probe = c.block();
    c.get(e.p).memory(W.i64_load, area.jumpCache + J.J_RIP).get(e.x).op(W.i64_ne).brIf(probe);
    c.get(e.p).memory(W.i32_load, area.jumpCache + J.J_ASID).tee(e.q).get(vp).memory(W.i32_load, at.ASID).op(W.i32_ne);
    c.get(e.q).get(vp).memory(W.i32_load, at.GLOBAL_ASID).op(W.i32_ne, W.i32_and).brIf(probe);
    c.get(e.p).memory(W.i32_load, area.jumpCache + J.J_BLOCK).tee(block);
    c.memory(W.i32_load, B.B_MODE).get(vp).memory(W.i32_load, at.MODE).op(W.i32_ne).brIf(probe);
    c.get(block).memory(W.i32_load, B.B_VALID).op(W.i32_eqz).brIf(probe);
    noteRegion(c, vp, block, e.p);
    c.get(linkAt).op(W.i32_eqz).brIf(entered);
    c.get(block).get(vp).memory(W.i32_store, B.B_SEEN_VP);
    c.get(block).get(e.q).memory(W.i32_store, B.B_SEEN_ASID);
    c.get(block).get(e.x).memory(W.i64_store, B.B_SEEN_RIP);
    c.br(entered);
    c.end();
    // Not there.
    c.get(vp);
    e.callRuntime("lookup");
    c.tee(block).op(W.i32_eqz).if();
    c.get(vp).memory(W.i32_load, at.LEAVE).i32(Leave.fault).op(W.i32_ne).brIf(exit);
    c.get(vp);
    e.callRuntime("deliver_fault");
    c.brIf(exit);
    c.i32(0).set(linkAt).br(find);
    c.end();
    c.end();
    // Let the jump that came here find it by itself next time.
    c.get(linkAt).if();
    c.get(across).get(block).memory(W.i32_load, B.B_HPA2).op(W.i32_eqz, W.i32_or).if();
    c.get(linkAt).get(block).memory(W.i32_store, 0);
    c.end();
    c.i32(0).set(linkAt).end();
    c.get(vp).memory(W.i32_load, at.TLB_BASE).get(vp).op(W.i32_add).set(e.tlb);
  }
  const enter = c.loop();
  {
    const cold = c.block();
    // Compiled?
    c.get(block).memory(W.i32_load, B.B_REGION).tee(e.p).if();
    setLeave(Leave.none);
    enterRegion(c, vp, block, e.p, e, regionTypeIndex);
    c.i32(0).set(block);
    c.get(vp).memory(W.i32_load, at.LEAVE).tee(e.q).op(W.i32_eqz).brIf(find);
    // What compiled code cannot do, its block does.
    c.get(e.q).i32(Leave.interpret).op(W.i32_eq).get(e.q).i32(Leave.refused).op(W.i32_eq).tee(e.q).op(W.i32_or).if();
    c.get(vp);
    e.callRuntime("lookup");
    c.tee(block).if();
    c.get(e.q).op(W.i32_eqz).brIf(cold);
    c.get(vp).get(block);
    e.callRuntime("region_refused");
    c.br(cold).end().end();
    c.get(vp).memory(W.i32_load, at.LEAVE).i32(Leave.fault).op(W.i32_ne).brIf(exit);
    c.get(vp);
    e.callRuntime("deliver_fault");
    c.brIf(exit).br(find).end();
    // An entry of user code counts twice: a program goes round in its loops for longer than a kernel in its own.
    c.get(block).get(block).memory(W.i32_load, B.B_COUNTER).i32(1).op(W.i32_sub);
    c.get(vp).memory(W.i32_load, at.MODE).i32(Mode.tlbMask).op(W.i32_and, W.i32_eqz, W.i32_sub);
    c.tee(e.p).memory(W.i32_store, B.B_COUNTER);
    c.get(e.p).i32(0).op(W.i32_ge_s).brIf(cold);
    c.get(block).i32(0).memory(W.i32_store, B.B_COUNTER);
    // Forgotten?
    c.get(block).memory(W.i32_load, B.B_VALID).op(W.i32_eqz).if();
    c.get(vp);
    e.callRuntime("lookup");
    c.set(block);
    c.get(block).brIf(enter);
    c.get(vp).memory(W.i32_load, at.LEAVE).i32(Leave.fault).op(W.i32_ne).brIf(exit);
    c.get(vp);
    e.callRuntime("deliver_fault");
    c.brIf(exit).br(find).end();
    setLeave(Leave.hot);
    c.get(vp).get(block).memory(W.i32_store, at.LEAVE_ARG);
    c.br(exit);
    c.end();
  }
  // Count the block's instructions; leave when a limit comes before its end.
  c.get(vp).memory(W.i64_load, at.ICOUNT).get(block).memory(W.i64_load32_u, B.B_COUNT).op(W.i64_add).tee(e.x);
  c.get(vp).memory(W.i64_load, at.ICOUNT_LIMIT).op(W.i64_gt_u).if();
  setLeave(Leave.limit);
  c.br(exit).end();
  c.get(vp).get(e.x).memory(W.i64_store, at.ICOUNT);
  c.get(block).i32(B.B_IR).op(W.i32_add).set(pc);

  const leave = c.block();
  e.leaveLabel = leave;
  const next = c.loop();
  const rows = opRows.slice(0, innerOps);
  const others = c.block();
  const labels = rows.map(() => c.block()).reverse();
  c.get(pc).memory(W.i32_load16_u, 0).brTable(labels, others);

  /** On to `block`, unless something waits. */
  const goOn = (): void => {
    c.get(vp).memory(W.i32_load, at.EVENTS).op(W.i32_eqz).brIf(enter);
    setLeave(Leave.event);
    c.br(exit);
  };
  /** A guess holds where this vCPU found `block` at this address, in the present generation. */
  const wrongUnlessSeen = (rip: Local, wrong: Label): void => {
    c.get(block).memory(W.i64_load, B.B_SEEN_RIP).get(rip).op(W.i64_ne).brIf(wrong);
    c.get(block).memory(W.i32_load, B.B_SEEN_VP).get(vp).op(W.i32_ne).brIf(wrong);
    c.get(block).memory(W.i32_load, B.B_SEEN_ASID).tee(e.q).get(vp).memory(W.i32_load, at.ASID).op(W.i32_ne);
    c.get(e.q).get(vp).memory(W.i32_load, at.GLOBAL_ASID).op(W.i32_ne, W.i32_and).brIf(wrong);
  };
  /** RIP += the delta at `offset`; follow the link at `link`, or look up and have it made: to another page, too, where `guesses`. */
  const follow = (deltaAt: number, link: number, guesses: boolean): void => {
    c.get(vp).get(vp).memory(W.i64_load, at.RIP).tee(e.x).get(pc).memory(W.i64_load32_s, deltaAt).op(W.i64_add).tee(e.y).memory(W.i64_store, at.RIP);
    c.get(e.x).get(e.y).op(W.i64_xor).i64(4096).op(W.i64_ge_u).set(across);
    c.get(pc).memory(W.i32_load, link).tee(block).if();
    if (guesses) {
      const wrong = c.block();
      c.get(across).if();
      wrongUnlessSeen(e.y, wrong);
      c.end();
      goOn();
      c.end();
      c.i32(0).set(block);
    } else goOn();
    c.end();
    c.get(pc).i32(link).op(W.i32_add);
    if (!guesses) c.i32(0).get(across).op(W.i32_eqz, W.select);
    c.set(linkAt).br(find);
  };
  const lookUp = (): void => {
    c.i32(0).set(block).br(find);
  };
  /** RIP = a. The link is a guess about the first of the deltas. */
  const indirect = (): void => {
    const delta = 4 * targetsAt;
    const pushFirst = (): Code => c.get(pc).memory(W.i64_load32_s, delta);
    e.pushA("i64");
    c.tee(e.x).get(vp).memory(W.i64_load, at.RIP).op(W.i64_sub).set(e.y);
    c.get(vp).get(e.x).memory(W.i64_store, at.RIP);
    c.get(e.y);
    pushFirst().op(W.i64_eq).if();
    const wrong = c.block();
    c.get(pc).memory(W.i32_load, targetLink).tee(block).op(W.i32_eqz).brIf(wrong);
    wrongUnlessSeen(e.x, wrong);
    goOn();
    c.end();
    c.else();
    c.get(pc).i32(0).memory(W.i32_store, targetLink);
    c.get(pc).i32(delta).op(W.i32_add).get(e.y);
    e.callRuntime("note_target");
    c.end();
    // It does not note all of them.
    c.get(pc).i32(targetLink).op(W.i32_add).i32(0).get(e.y);
    pushFirst().op(W.i64_eq, W.select).set(linkAt).i32(1).set(across);
    lookUp();
  };
  rows.forEach((row, n) => {
    c.end();
    switch (row.name) {
      case "jmp":
      case "poll":
        return follow(8, 4, true);
      case "sync":
        c.get(vp).get(vp).memory(W.i64_load, at.RIP).get(pc).memory(W.i64_load32_s, 8).op(W.i64_add).memory(W.i64_store, at.RIP);
        return lookUp();
      case "dispatch":
        return lookUp();
      case "jmpi":
        return indirect();
      case "call":
        c.get(vp).get(pc).memory(W.i32_load16_u, part.a).get(pc).memory(W.i32_load16_u, part.b).get(pc).memory(W.i32_load, part.imm);
        c.get(pc).memory(W.i32_load16_u, part.d).callIndirect(helperTypeIndex, 0).tee(helperResult).brIf(leave);
        c.get(pc).i32(opBytes(n)).op(W.i32_add).set(pc).br(next);
        return;
    }
    if (row.format === "branch") {
      if (row.name === "jnz") e.pushD("i8");
      else {
        const [, known, cc] = /^jcc(sub|logic|)(\d+)$/.exec(row.name) as RegExpExecArray;
        e.pushCondition(Number(cc), known as "" | "sub" | "logic");
      }
      c.if();
      follow(8, 4, false);
      c.end();
      return follow(12, 16, false);
    }
    e.emit(row.name);
    c.get(pc).i32(opBytes(n)).op(W.i32_add).set(pc);
    if (row.name === "canonical") {
      // A return: canonical, lea64, jmpi.
      c.get(pc).memory(W.i32_load16_u, 0).i32(Op.lea64).op(W.i32_ne).brIf(next);
      e.emit("lea64");
      c.get(pc).i32(opBytes(Op.lea64)).op(W.i32_add).set(pc);
    }
    for (const likely of likelyNext(row.name)) c.get(pc).memory(W.i32_load16_u, 0).i32(likely).op(W.i32_eq).brIf(labels[likely]);
    c.br(next);
  });
  c.end();
  // Vector and floating-point operations.
  c.get(vp).get(pc).get(e.tlb).call(outerIndex).tee(helperResult).op(W.i32_eqz).brIf(leave);
  c.get(pc).get(helperResult).op(W.i32_add).set(pc).br(next);
  c.end();
  c.end();
  // Leaving at the start of the instruction that the operation at pc belongs to.
  c.get(vp).get(vp).memory(W.i64_load, at.RIP).get(pc).memory(W.i64_load16_u, part.position).i64(0x3fff).op(W.i64_and, W.i64_add).memory(W.i64_store, at.RIP);
  c.get(vp).get(vp).memory(W.i64_load, at.ICOUNT).get(block).memory(W.i64_load32_u, B.B_COUNT).op(W.i64_sub);
  c.get(pc).memory(W.i64_load16_u, part.count).i64(0x7fff).op(W.i64_and, W.i64_add).memory(W.i64_store, at.ICOUNT);
  c.get(vp).memory(W.i32_load, at.LEAVE).i32(Leave.fault).op(W.i32_ne).brIf(exit);
  c.get(pc).memory(W.i32_load16_s, part.count).i32(0).op(W.i32_lt_s).if();
  c.get(vp);
  e.callRuntime("stack_fault");
  c.end();
  c.get(vp);
  e.callRuntime("deliver_fault");
  c.brIf(exit);
  c.i32(0).set(block).br(find);
  c.end();
  c.end();
  c.end();
  return c;
}
