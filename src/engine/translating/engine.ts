/**
 * The translating engine: guest code is lifted block by block, interpreted, and compiled where it is hot.
 *
 * Everything that can wait for TypeScript ends up here as a reason to leave (vcpu/leave.ts). Laws:
 * - An interrupt is taken between two instructions, never during the one after STI.
 * - With a budget of n instructions exactly n retire, unless HLT, shutdown or the host ends the run before.
 */
import { assert } from "#base";
import { type EmitterSetup, maxInstructions, type Passes, passesWithout, RemoteEmitter } from "#jit";
import {
  type Arena,
  ArenaError,
  arenaLayout,
  maxVcpus,
  processFields,
  type Translations,
  translationsOf,
} from "#memory";
import { area, Event, Halted, Leave, Vcpu } from "#vcpu";
import type { Engine, EngineHost, EngineObserver, VmExit } from "../engine.ts";
import { Chaos } from "./chaos.ts";
import { Events } from "./events.ts";
import { giveLearnt, type Learnt, type LearntSource, packLearnt } from "./learnt-blocks.ts";
import { faultExit, Lifting } from "./lifting.ts";
import { neverHot, RegionCompiler } from "./regions.ts";
import {
  instantiateRuntime,
  type RuntimeExports,
  type WasmBytes,
  type WasmRuntime,
  type WasmWatch,
} from "./runtime.ts";
import { giveBlocks, takeBlocks, type WarmBlocks } from "./warm-blocks.ts";

export interface TranslatingOptions extends WasmBytes {
  readonly arena: Arena;
  /** Of vCPUs that are made without one of their own. */
  readonly host: EngineHost;
  /** Entries of a block before it is compiled; 0 compiles everything at once, Infinity interprets everything. */
  readonly hotThreshold?: number;
  /** Exceptions end a run instead of being delivered to the guest. */
  readonly catchFaults?: boolean;
  /** In deterministic mode a run ends exactly at its budget; otherwise a block may be left for the next run. */
  readonly exact: boolean;
  readonly observer?: EngineObserver;
  /** Where several threads run one vCPU each: which this one is. It says by `runAs` which vCPU. */
  readonly thread?: number;
  /** Nanoseconds. With it, the times in `stats` are counted. */
  readonly now?: () => number;
  /** Optimisations in use; all of them unless said otherwise. */
  readonly passes?: Passes;
  /** Starts a thread that calls `runEmitterThread`; without one, compiled code is emitted on the thread that runs it. */
  readonly startEmitter?: (setup: EmitterSetup) => void;
  /** With one, caches are dropped and runs are cut at random moments (chaos.ts). */
  readonly chaosSeed?: number;
  /** All numbers of instructions are loaded from the code, not only those that change: to see that it makes no difference. */
  readonly loadsAllNumbers?: boolean;
}

/** Of all blocks a run wanted, those that had to be lifted are worth keeping from this part on. */
const newShare = 1 / 32;
/** and of its regions that none was kept of. */
const newRegionShare = 1 / 8;

/** What is known of a vCPU beside its record. */
interface Resident {
  readonly host: EngineHost;
  /** As they were when it last caught up. */
  regionChanges: number;
  blockFlushes: number;
}

export class TranslatingEngine implements Engine {
  readonly #arena: Arena;
  readonly #commonHost: EngineHost;
  /** Of the vCPU that runs. */
  #host: EngineHost;
  readonly #residents = new Map<Vcpu, Resident>();
  /** By arena offset of the header. */
  readonly #hostOfSpace = new Map<number, EngineHost>();
  /** By the area of a vCPU that is no more: its next generations. Blocks and regions may still name its last ones. */
  readonly #generations = new Map<number, { readonly asid: number; readonly global: number }>();
  /** How often regions, and blocks, that any vCPU may remember have gone. */
  #regionChanges = 0;
  readonly #wasm: WasmRuntime;
  readonly #lifting: Lifting;
  readonly #events: Events;
  readonly #exact: boolean;
  readonly #translations: Translations;
  /** Blocks are kept and taken: their IR is what all passes make of it, and one thread has them. */
  readonly #learns: boolean;
  #learnt: Learnt | undefined;
  /** One of several threads. */
  #threaded = false;
  readonly #observer: EngineObserver | undefined;
  readonly #chaos: Chaos | undefined;
  readonly #now: (() => number) | undefined;
  readonly #regions: RegionCompiler;
  readonly #emitter: RemoteEmitter | undefined;
  #running: Vcpu | undefined;
  /** Instructions of the last run. */
  #ran = 0;
  readonly stats = {
    lifted: 0,
    liftedInstructions: 0,
    steps: 0,
    leaves: new Array<number>(Object.keys(Leave).length).fill(0),
    blockFlushes: 0,
    liftNs: 0,
    compileNs: 0,
  };

  constructor(options: TranslatingOptions) {
    this.#arena = options.arena;
    this.#commonHost = options.host;
    this.#host = options.host;
    this.#exact = options.exact;
    this.#now = options.now;
    this.#observer = options.observer;
    const passes = options.passes ?? passesWithout();
    const catchFaults = options.catchFaults ?? false;
    this.#learns = options.thread === undefined && Object.values(passes).every((on) => on);
    this.#translations = translationsOf(options.thread ?? 0);
    this.#wasm = instantiateRuntime(
      options.arena,
      options,
      {
        host: () => this.#host,
        fillFrame: (space, gfn) => this.#hostOf(space).fillFrame?.(gfn),
        comesAtOnce: (space, gfn) => this.#hostOf(space).comesAtOnce?.(gfn) ?? true,
        deferFault: (space, gfn) => this.#hostOf(space).deferFault?.(gfn) ?? 0,
        frameInvalidated: (frame) => this.#regions.forgetFrame(frame),
        answer: (value) => this.#current().setU64("MSR_DATA", value),
        answerCpuid: (values) => {
          const vcpu = this.#current();
          values.forEach((value, n) => vcpu.setU32("CPUID_RESULT", value, n));
        },
      },
      catchFaults,
      this.#observer && this.#watch(this.#observer),
    );
    const emitOptions = { exact: options.exact, passes };
    const hotThreshold = options.hotThreshold ?? Number.POSITIVE_INFINITY;
    if (options.chaosSeed !== undefined) this.#chaos = new Chaos(options.chaosSeed, hotThreshold);
    if (options.startEmitter && hotThreshold !== Number.POSITIVE_INFINITY) {
      this.#emitter = new RemoteEmitter(options.arena, this.#translations, emitOptions, options.startEmitter);
    }
    this.#regions = new RegionCompiler(
      options.arena,
      this.#wasm,
      this.#translations,
      emitOptions,
      () => this.#regionsChanged(),
      (why) => this.#host.notCompiled(why),
      this.#emitter,
    );
    const loadsNumbers = options.loadsAllNumbers
      ? () => true
      : this.#chaos && (() => this.#chaos?.loadsNumbers() ?? false);
    this.#lifting = this.#buildLifting(passes, hotThreshold, catchFaults, loadsNumbers);
    this.#events = this.#buildEvents();
    if (options.thread !== undefined && options.thread > 0) {
      this.runtime.use_translations(this.#translations.records);
    }
  }

  #buildLifting(
    passes: Passes,
    hotThreshold: number,
    catchFaults: boolean,
    loadsNumbers: (() => boolean) | undefined,
  ): Lifting {
    const engine = this;
    const around = {
      arena: this.#arena,
      runtime: this.runtime,
      translations: this.#translations,
      passes,
      get host() {
        return engine.#host;
      },
      observer: this.#observer,
      catchFaults,
      loadsNumbers,
      stats: this.stats,
      forgetBlocks: () => this.#forgetBlocks(),
    };
    return new Lifting(around, hotThreshold);
  }

  #buildEvents(): Events {
    const engine = this;
    return new Events({
      runtime: this.runtime,
      get host() {
        return engine.#host;
      },
      observer: this.#observer,
      get isThreaded() {
        return engine.#threaded;
      },
      step: (vcpu) => this.#step(vcpu),
      park: (vcpu) => {
        this.#pause(vcpu);
        this.#begin(vcpu);
        this.#forget(vcpu);
      },
    });
  }

  /** Begins what runs beside the engine, which a machine that boots is going to want; it is about to take so many bytes of frames. */
  begin(expectedBytes: number): void {
    this.#emitter?.begin(expectedBytes);
  }

  /** Ends what runs beside the engine. */
  close(): void {
    this.#emitter?.close();
  }

  get regions(): RegionCompiler {
    return this.#regions;
  }

  get runtime(): RuntimeExports {
    return this.#wasm.exports;
  }

  /**
   * A vCPU in the arena, all zeros but for empty TLBs. `space`: arena offset of its address-space header. `host`: the machine around
   * it, which all vCPUs of that space have in common. Throws ArenaError where there is no place for it.
   */
  createVcpu(id: number, space: number, host = this.#commonHost): Vcpu {
    if (this.#residents.size >= maxVcpus)
      throw new ArenaError(`a machine and its forks have at most ${maxVcpus} vCPUs`);
    const vcpu = new Vcpu(this.#arena, this.#arena.lend(area.bytes), id);
    this.#take(vcpu, host);
    this.#hostOfSpace.set(space, host);
    vcpu.setU32("SPACE", space);
    // Generations of code addresses: odd for all translations, even for global ones; where another vCPU had the area, after its own.
    const { asid, global } = this.#generations.get(vcpu.vp) ?? { asid: 1, global: 2 };
    vcpu.setU32("ASID", asid);
    vcpu.setU32("LAST_ASID", asid);
    vcpu.setU32("GLOBAL_ASID", global);
    vcpu.setU32("REGION_EPOCH", 1);
    vcpu.setU64("ICOUNT_LIMIT", 2n ** 63n - 1n);
    this.#enlist(vcpu.vp);
    this.runtime.tlb_flush_all(vcpu.vp);
    return vcpu;
  }

  /** Gives a vCPU's area back to the arena. Requires: one thread runs all vCPUs, and nobody uses this one any more. */
  removeVcpu(vcpu: Vcpu): void {
    const words = this.#arena.i32;
    const header = arenaLayout.PROCESS >> 2;
    const count = --words[header + (processFields.P_VCPU_COUNT >> 2)];
    const list = words.subarray(header + (processFields.P_VCPUS >> 2)).subarray(0, count + 1);
    list[list.indexOf(vcpu.vp)] = list[count];
    this.#hostOfSpace.delete(vcpu.u32("SPACE"));
    this.#residents.delete(vcpu);
    this.#countVcpus();
    this.#generations.set(vcpu.vp, { asid: vcpu.u32("LAST_ASID"), global: vcpu.u32("GLOBAL_ASID") });
    this.#arena.takeBack(vcpu.vp, area.bytes);
  }

  /** From now on this thread runs that vCPU, and others run others. */
  runAs(vcpu: Vcpu): void {
    this.#threaded = true;
    this.#regions.onlyVcpu = vcpu.vp;
    this.runtime.use_thread(vcpu.vp);
  }

  /** A vCPU that another thread's engine has created. */
  attachVcpu(id: number, vp: number): Vcpu {
    return this.#take(new Vcpu(this.#arena, vp, id), this.#commonHost);
  }

  #take(vcpu: Vcpu, host: EngineHost): Vcpu {
    this.#residents.set(vcpu, { host, regionChanges: this.#regionChanges, blockFlushes: this.stats.blockFlushes });
    this.#countVcpus();
    return vcpu;
  }

  /** Regions that are made from now on may be one vCPU's own. Those made before refuse others, and are made anew. */
  #countVcpus(): void {
    const [first, ...others] = this.#residents.keys();
    this.#regions.onlyVcpu = others.length === 0 && first !== undefined ? first.vp : 0;
  }

  /** In the process's list of vCPUs, all of which keep out of their write TLBs what holds code. */
  #enlist(vp: number): void {
    const words = this.#arena.i32;
    const header = arenaLayout.PROCESS >> 2;
    const count = words[header + (processFields.P_VCPU_COUNT >> 2)]++;
    words[header + (processFields.P_VCPUS >> 2) + count] = vp;
  }

  /** How often translated code was left, by reason. */
  leavesByName(): Record<string, number> {
    return Object.fromEntries(Object.entries(Leave).map(([name, reason]) => [name, this.stats.leaves[reason]]));
  }

  run(vcpu: Vcpu, icount: bigint): VmExit {
    this.#enter(vcpu);
    vcpu.setU64("ICOUNT_LIMIT", this.#chaos ? this.#disturb(vcpu, this.#chaos, icount) : icount);
    this.#timed("compileNs", () => this.#regions.compile(this.#ran));
    this.#emitter?.look();
    this.#begin(vcpu);
    const from = vcpu.u64("ICOUNT");
    try {
      return this.#run(vcpu);
    } catch (error) {
      // The machine is lost, and others may go on with this engine.
      this.runtime.abandon();
      throw error;
    } finally {
      this.#ran = Number(vcpu.u64("ICOUNT") - from);
      this.#regions.reconsider(vcpu, this.#ran, this.#lifting.hotThreshold);
      this.#pause(vcpu);
    }
  }

  /** Where several threads run: until `park`, others may have to wait for this vCPU before they can be alone. */
  resume(vcpu: Vcpu): void {
    if (!this.#threaded) return;
    this.runtime.resume(vcpu.vp);
  }

  /** This thread waits for something: others may take it for stopped. */
  park(vcpu: Vcpu): void {
    if (this.#threaded) this.runtime.park(vcpu.vp);
  }

  /** From here to `#pause` it is in the middle of an instruction whenever it parks. */
  #begin(vcpu: Vcpu): void {
    this.resume(vcpu);
    vcpu.setU32("MIDWAY", 1);
  }

  #pause(vcpu: Vcpu): void {
    vcpu.setU32("MIDWAY", 0);
    this.park(vcpu);
  }

  #enter(vcpu: Vcpu): void {
    this.#running = vcpu;
    const resident = this.#residents.get(vcpu);
    assert(resident !== undefined, "an engine runs its own vCPUs");
    this.#host = resident.host;
    this.#catchUp(vcpu, resident);
  }

  /** A vCPU forgets what went while others ran. */
  #catchUp(vcpu: Vcpu, resident: Resident): void {
    if (resident.blockFlushes !== this.stats.blockFlushes) this.runtime.forget_code(vcpu.vp);
    if (resident.regionChanges !== this.#regionChanges) this.runtime.forget_regions(vcpu.vp);
    resident.blockFlushes = this.stats.blockFlushes;
    resident.regionChanges = this.#regionChanges;
  }

  #regionsChanged(): void {
    this.#regionChanges++;
    this.#forgotten();
  }

  /** The vCPU that runs forgets at once what has gone; others do before they run. */
  #forgotten(): void {
    const vcpu = this.#current();
    const resident = this.#residents.get(vcpu);
    if (resident !== undefined) this.#catchUp(vcpu, resident);
  }

  #run(vcpu: Vcpu): VmExit {
    if (vcpu.u32("FORGET_COUNT") !== 0) this.#forget(vcpu);
    for (;;) {
      if (vcpu.u32("HALTED") !== 0 && !this.#events.wake(vcpu)) return { reason: "halt" };
      const pending = this.#events.take(vcpu);
      if (pending !== undefined) return pending;
      if (vcpu.u32("HALTED") !== Halted.no) continue;
      this.#wasm.run(vcpu.vp, 0);
      const exit = this.#left(vcpu);
      if (exit !== undefined) return exit;
    }
  }

  /** Forgets what other threads have overwritten. */
  #forget(vcpu: Vcpu): void {
    if (this.runtime.take_forgets(vcpu.vp) !== 0) this.#forgetBlocks();
  }

  /** Runs the next instruction alone, events before it. */
  step(vcpu: Vcpu): VmExit {
    this.#enter(vcpu);
    vcpu.setU64("ICOUNT_LIMIT", vcpu.u64("ICOUNT") + 1n);
    if (vcpu.u32("HALTED") !== 0 && !this.#events.wake(vcpu)) return { reason: "halt" };
    const pending = this.#events.take(vcpu);
    if (pending !== undefined) return pending;
    if (vcpu.u32("HALTED") !== 0) return { reason: "halt" };
    return this.#step(vcpu) ?? { reason: "budget" };
  }

  /** Forgets what may be forgotten at any time; where the run ends. */
  #disturb(vcpu: Vcpu, chaos: Chaos, icount: bigint): bigint {
    if (chaos.strikes(this.#ran)) {
      if (chaos.flushesTlb()) this.runtime.tlb_flush_all(vcpu.vp);
      if (chaos.forgetsBlocks()) this.#forgetBlocks();
      if (this.#lifting.hotThreshold !== Number.POSITIVE_INFINITY) this.#lifting.hotThreshold = chaos.hotThreshold();
    }
    return chaos.cut(vcpu.u64("ICOUNT"), icount);
  }

  #watch(observer: EngineObserver): WasmWatch {
    return {
      fault: () => {
        const vcpu = this.#current();
        observer.exception(vcpu, vcpu.u32("FAULT_VECTOR"), vcpu.u32("FAULT_ERROR"));
      },
      helpers: ["sys_rdmsr", "sys_wrmsr"],
      helper: (name, result) => observer.msr(this.#current(), name === "sys_wrmsr", result !== 0),
    };
  }

  /** Why the interpreter came back. */
  #left(vcpu: Vcpu): VmExit | undefined {
    const reason = vcpu.u32("LEAVE") as Leave;
    this.stats.leaves[reason]++;
    switch (reason) {
      case Leave.none:
      case Leave.event:
      case Leave.again:
        return undefined;
      case Leave.lift:
        this.#timed("liftNs", () => this.#lifting.lift(vcpu));
        return this.#lifting.takeCaught();
      case Leave.hot:
        this.#hot(vcpu, vcpu.u32("LEAVE_ARG"));
        return undefined;
      case Leave.limit:
        return this.#finish(vcpu);
      case Leave.step:
        return this.#step(vcpu);
      case Leave.fault:
        return faultExit(vcpu);
      case Leave.shutdown:
        return { reason: "shutdown" };
      default:
        throw new Error(`the interpreter left for an unknown reason, ${reason}`);
    }
  }

  /** The next block is longer than what is left of the budget. */
  #finish(vcpu: Vcpu): VmExit | undefined {
    const left = Number(vcpu.u64("ICOUNT_LIMIT") - vcpu.u64("ICOUNT"));
    // Compiled code has used up what it has at a time.
    if (left > maxInstructions) return undefined;
    if (left === 0 || !this.#exact) return { reason: "budget" };
    return this.#runAlone(vcpu, left, false);
  }

  /** Runs the instruction at RIP alone, with all that translated code leaves to this. */
  #step(vcpu: Vcpu): VmExit | undefined {
    if (vcpu.u64("ICOUNT") >= vcpu.u64("ICOUNT_LIMIT")) return { reason: "budget" };
    this.stats.steps++;
    if (this.#observer === undefined) return this.#runAlone(vcpu, 1, true);
    this.#observer.instruction(vcpu);
    const exit = this.#runAlone(vcpu, 1, true);
    this.#observer.instructionDone(vcpu);
    return exit;
  }

  #runAlone(vcpu: Vcpu, limit: number, stepping: boolean): VmExit | undefined {
    const events = vcpu.u32("EVENTS");
    const block = this.#lifting.liftAlone(vcpu, limit);
    if (block === 0) return this.#lifting.takeCaught();
    vcpu.clearEvent(events);
    vcpu.setU32("STEPPING", stepping ? 1 : 0);
    this.#wasm.run(vcpu.vp, block);
    vcpu.setU32("STEPPING", 0);
    vcpu.clearEvent(Event.stop);
    vcpu.raiseEvent(events);
    const reason = vcpu.u32("LEAVE");
    if (reason === Leave.event || reason === Leave.lift || reason === Leave.again) return undefined;
    return this.#left(vcpu);
  }

  #timed(time: "liftNs" | "compileNs", work: () => void): void {
    if (this.#now === undefined) return work();
    const started = this.#now();
    work();
    this.stats[time] += this.#now() - started;
  }

  /** The block at RIP became hot: its region is grown now, while what the guest maps is known, and waits for the next batch. */
  #hot(vcpu: Vcpu, block: number): void {
    this.#regions.request(vcpu, block, this.#lifting.hotThreshold);
    if (this.#lifting.hotThreshold === 0) this.#regions.compileNow();
  }

  #forgetBlocks(): void {
    this.runtime.forget_blocks();
    this.stats.blockFlushes++;
    this.#regions.forgetAll();
    this.#forgotten();
  }

  /** What it compiles from here on will be packed for runs to come. */
  learn(): void {
    if (this.#learns) this.#regions.keep();
  }

  /**
   * Takes over what earlier runs of any machine have learnt (learnt-blocks.ts); whether that is something for this one. `build`: of this
   * memvisor. Requires: this one has run nothing yet.
   */
  giveLearnt(source: LearntSource, build: Uint8Array): boolean {
    if (!this.#learns) return false;
    this.#learnt = giveLearnt(this.#arena, this.runtime, source, build, this.#lifting.hotThreshold);
    if (this.#learnt === undefined) return false;
    const { end, regionsEnd } = this.#learnt;
    this.#regions.take(end, regionsEnd);
    return true;
  }

  /** What runs to come can learn of this one; undefined where that is little more than was known. */
  packLearnt(build: Uint8Array): Uint8Array | undefined {
    const { lifted } = this.stats;
    const { regions, kept } = this.#regions.stats;
    const isNew =
      lifted > (lifted + this.runtime.learnt_taken()) * newShare || regions - kept > regions * newRegionShare;
    if (!this.#learns || !isNew || this.#lifting.hotThreshold === Number.POSITIVE_INFINITY) return undefined;
    return packLearnt(
      this.#arena,
      this.runtime,
      this.#translations,
      this.#learnt,
      build,
      this.#lifting.hotThreshold,
      (mostWords) => this.#regions.pack(mostWords),
    );
  }

  /** Blocks that have run, for another engine of this build (warm-blocks.ts). */
  takeBlocks(pageOf: (frame: number) => number): WarmBlocks {
    return takeBlocks(this.#arena, this.#translations, (hpa) => this.#lifting.entriesUntilHot(hpa), pageOf);
  }

  /** Takes over what another engine's `takeBlocks` gave; how many blocks. Requires: this one has run nothing yet. */
  adoptBlocks(vcpu: Vcpu, blocks: WarmBlocks, check: number, frames: Uint32Array): number {
    this.runtime.tlb_flush_all(vcpu.vp);
    const untilHot = Math.min(this.#lifting.hotThreshold, neverHot);
    return giveBlocks(this.#arena, this.runtime, this.#translations, vcpu.vp, blocks, check, frames, untilHot);
  }

  #hostOf(space: number): EngineHost {
    return this.#hostOfSpace.get(space) ?? this.#host;
  }

  #current(): Vcpu {
    assert(this.#running !== undefined, "a vCPU runs when the runtime calls");
    return this.#running;
  }
}
