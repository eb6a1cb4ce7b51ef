/**
 * The machine: one address space, its vCPUs and an engine, the platform around them, and the loop that runs it all.
 *
 * It lives on one thread, by turns: alarms ring, input is looked at, the vCPU runs for a slice, and who called for the turn hears
 * when the next one is wanted. Others may live on the thread, too, those it was forked into among them (docs/forks.md). In virtual
 * time a slice ends exactly where the next alarm is due, so that what the guest sees depends on its instructions alone.
 */
import { pageSize } from "#address";
import { assertNever } from "#base";
import {
  type Balloon,
  deliveryMode,
  type HostFile,
  IoError,
  KvmClock,
  type Net,
  Platform,
  type SavedDisk,
  type SerialHost,
  type VcpuSignals,
} from "#devices";
import type { EngineHost, TranslatingEngine, VmExit } from "#engine";
import { AddressSpace, FreeFrames, remoteOf } from "#memory";
import { Event, MsrFile, postInit, postNmi, postStartup, restoreVcpu, saveVcpu, takePosted, type Vcpu } from "#vcpu";
import { AsyncFaults } from "./async-faults.ts";
import { bootBytes, bootMachine } from "./boot/index.ts";
import { digestMachine, type MachineDigest } from "./digest.ts";
import { DigestLog } from "./digest-log.ts";
import { engineHostOf } from "./engine-host.ts";
import { EvictionChaos } from "./eviction-chaos.ts";
import { StoppedWaiting } from "./far-line.ts";
import { checkFork, forkedConfig, freezeDisks } from "./forking.ts";
import { IoThreads } from "./io-threads.ts";
import { MachineClock, tscFrequencyHz } from "./machine-clock.ts";
import type {
  BalloonStats,
  MachineConfig,
  MachineHost,
  MachineOutcome,
  MachineStats,
  RunnableMachine,
  Turn,
} from "./machine-host.ts";
import { MachineMemory } from "./machine-memory.ts";
import { hotThresholdOf, type MachineRoom, openRoom } from "./machine-room.ts";
import { checkResume, type MachineState, type Resume } from "./machine-state.ts";
import { Backing, evictionSeedOf } from "./memory-backing.ts";
import { type Peripherals, plugIn } from "./peripherals.ts";
import { PersistentMemory } from "./persistent-memory.ts";
import { Profiler, type Sample } from "./profiler.ts";
import { pluggableRegion, ramSlots } from "./ram-slots.ts";
import { SeededRandom } from "./random.ts";
import { publishApic } from "./remote-apic.ts";
import { SavePoints } from "./save-points.ts";
import { SerialInput } from "./serial-input.ts";
import { nextSliceNs, SliceSizer } from "./slice-sizer.ts";
import { TierTimes } from "./tier-times.ts";
import { Tracer } from "./tracer.ts";
import { Turns } from "./turns.ts";
import type { VcpuThreadState } from "./vcpu-thread.ts";
import { VcpuThreads } from "./vcpu-threads.ts";

/** Virtual time without an alarm in sight: the loop still looks up once in a while. */
const longestVirtualSlice = 4_000_000;
/** A machine that stands still for want of memory looks for it so often. */
const pausedLookNs = 100e6;

const lastInstruction = 2n ** 63n - 1n;

/** The next turn may be at once. */
const busy: Turn = { nextNs: 0 };

/** Records of what each vCPU has, among the platform's. */
const lapicName = (cpu: number): string => `lapic${cpu}`;
const kvmClockName = (cpu: number): string => (cpu === 0 ? "kvm-clock" : `kvm-clock${cpu}`);

/** Another machine to go on as, on its thread and in its room, and its state. */
interface Sibling {
  readonly machine: Machine;
  readonly state: MachineState;
}

/** A machine's insides. */
export interface MachineParts {
  /** The one whose turn it is. */
  readonly vcpu: Vcpu;
  readonly vcpus: readonly Vcpu[];
  readonly memory: AddressSpace;
  readonly engine: TranslatingEngine;
  /** All devices' state, as digests see it. */
  readonly devices: Uint8Array;
}

export class Machine implements RunnableMachine, Disposable {
  readonly #config: MachineConfig;
  readonly #host: MachineHost;
  readonly #room: MachineRoom;
  readonly #engine: TranslatingEngine;
  readonly #space: AddressSpace;
  readonly #vcpus: readonly Vcpu[];
  readonly #turns: Turns;
  readonly #clock: MachineClock;
  readonly #platform: Platform;
  /** One for each vCPU. */
  readonly #msrs: readonly MsrFile[];
  readonly #tracer: Tracer | undefined;
  /** Where the machine's random numbers come from, unless it is the host. */
  readonly #seeded: SeededRandom | undefined;
  readonly #reported = new Set<string>();
  readonly #serialInput: readonly SerialInput[];
  #outcome: MachineOutcome | undefined;
  /** The running vCPU has signalled another one. */
  #gaveWay = false;
  /** The others, where each vCPU has a thread of its own, this one the first. */
  readonly #threads: VcpuThreads | undefined;
  /** The host's time at guest time 0. */
  readonly #startNs: number;
  readonly #sizer = new SliceSizer();
  readonly #times = new TierTimes();
  readonly #profiler: Profiler | undefined;
  readonly #chaos: EvictionChaos | undefined;
  readonly #backing: Backing;
  #paused = false;
  readonly #io: IoThreads;
  readonly #peripherals: Peripherals;
  /** What there is to know of its memory. */
  readonly memory: MachineMemory;
  /** Snapshots that it was, and what it has stored to since. */
  readonly savePoints: SavePoints;
  readonly #persistent: PersistentMemory;
  /** Undefined in virtual time. */
  readonly #asyncFaults: AsyncFaults | undefined;
  #exits: Record<string, number> = {};
  readonly #digests: DigestLog;
  /** Between two turns, where time is to be told. */
  #resting: Disposable | undefined;

  /**
   * Boots, or goes on `from` what was saved, or as that other machine does, in its room. Throws BootError when the kernel, initrd or
   * command line cannot be booted in this much memory, StateError when what was saved is no machine like this one.
   */
  constructor(config: MachineConfig, host: MachineHost, from?: Resume | Sibling) {
    const parent = from && "machine" in from ? from.machine : undefined;
    const resume = from && "memory" in from ? from : undefined;
    const state = from?.state;
    if (state) checkResume(state, config);
    this.#config = config;
    this.#host = host;
    if (config.seed !== undefined || config.clock === "virtual") this.#seeded = new SeededRandom(config.seed ?? 1);
    this.#digests = new DigestLog(
      config.digestEvery,
      () => this.digest(),
      (line) => host.report("digest", line),
    );
    const cpus = config.cpus ?? 1;
    const watched = config.trace !== undefined || config.profile === true;
    const threaded = cpus > 1 && !this.#virtual && !watched && host.startVcpu !== undefined;
    this.#startNs = host.now() - (state?.timeNs ?? 0);
    this.#io = new IoThreads(host, this.#virtual);
    this.#persistent = new PersistentMemory(config.pmem ?? [], host);
    if (config.trace) this.#tracer = new Tracer(config.trace, (line) => host.report("trace", line));
    const bareHost = this.#engineHost();
    const engineHost = this.#tracer?.watch(bareHost, () => this.#turns.vcpu) ?? bareHost;
    this.#room = parent
      ? parent.#room
      : openRoom(config, host, {
          engineHost,
          observer: this.#tracer,
          threaded,
          persistentBytes: this.#persistent.sizeBytes,
        });
    const { arena, engine } = this.#room;
    this.#engine = engine;
    if (!state) engine.begin(bootBytes(config));
    const ram = ramSlots(config);
    this.#space = parent
      ? parent.#space.fork()
      : new AddressSpace(arena, engine.runtime, [...ram, ...this.#persistent.slots]);
    this.#backing = new Backing(
      { config, space: this.#space, slots: ram, room: this.#room, host, io: this.#io },
      resume?.memory(this.#room.kernels),
    );
    this.#persistent.attach(this.#space);
    this.savePoints = new SavePoints(this.#space.dirty);
    if (resume) this.savePoints.add(resume.header);
    const evictionSeed = evictionSeedOf(config.engine);
    if (evictionSeed !== undefined) this.#chaos = new EvictionChaos(evictionSeed, this.#space);
    this.#vcpus = this.#room.enter(this.#space, cpus, engineHost);
    this.memory = new MachineMemory({
      arena,
      space: this.#space,
      freeFrames: host.discard && FreeFrames.of(arena, engine.runtime, host.discard),
      deviceSlots: () => this.#platform.mmioBus.slots,
      room: this.#room,
      host,
      needBacking: () => this.#backing.need(),
      evicted: () => this.#backing.evicted,
      balloonedPages: () => this.#peripherals.balloon?.actualPages ?? 0,
      ...(config.memoryMaxBytes !== undefined && {
        size: { memoryBytes: config.memoryBytes, plugged: () => this.#peripherals.plugged },
      }),
      now: () => host.now(),
      ...(config.reclaim && { reclaim: config.reclaim }),
    });
    if (threaded) {
      this.#engine.runAs(this.#vcpus[0]);
      this.#threads = new VcpuThreads(this.#vcpus, {
        notice: (line) => this.#reportOnce(line),
        bringIn: (gfn, wait) => this.#space.swap.bringIn(gfn, wait),
        tripleFault: () => void this.#end("reset", "the guest caused a triple fault"),
      });
    }
    this.#turns = new Turns(
      this.#localVcpus,
      this.#virtual,
      (cpu) => this.#vcpus[cpu].u32("SIGNALS") !== 0 || this.#platform.lapics[cpu].pendingVector() >= 0,
    );
    this.#tracer?.attach(this.#engine.runtime);
    this.#clock = new MachineClock(this.#timeSource(), () => this.#turns.vcpu.raiseEvent(Event.host));
    this.#serialInput = host.serialInput.map((source, n) => new SerialInput(source, () => this.#platform.serial[n]));
    this.#platform = this.#buildPlatform();
    // When a page comes from afar is not repeatable.
    if (!this.#virtual) this.#asyncFaults = this.#buildAsyncFaults();
    this.#msrs = this.#localVcpus.map((vcpu) => this.#buildMsrs(vcpu));
    host.streams?.reset();
    this.#peripherals = plugIn(this.#platform, config, {
      memory: this.#space,
      clock: this.#clock,
      random: (target) => this.#fillRandom(target),
      notice: (line) => this.#reportOnce(line),
      streams: host.streams,
      regions: this.#persistent.regions,
      pluggable: pluggableRegion(this.#space),
      openLine: (request) => this.#io.line(request),
    });
    this.#platform.powerOn();
    if (state) this.#resume(state);
    else this.#boot();
    for (const { vp } of this.#vcpus) engine.runtime.update_mode(vp);
    if (config.profile) this.#profiler = new Profiler(host, this.#localVcpus, () => this.#engine.stats);
    try {
      this.#io.start(arena.memory, this.#vcpus[0]);
    } catch (error) {
      // Others may live on in the room.
      this[Symbol.dispose]();
      throw error;
    }
    const setup = {
      memory: arena.memory,
      space: this.#space.header,
      memslots: this.#space.memslots,
      engine: config.engine,
      hotThreshold: hotThresholdOf(config.engine),
      startNs: this.#startNs,
    };
    this.#threads?.start(host, setup, state && this.#threadStates(state));
  }

  turn(): Turn {
    return this.#turn(lastInstruction);
  }

  /**
   * Runs until `icount` instructions have retired, of all vCPUs together and exactly so in virtual time; how the machine
   * ended if it did.
   */
  runUntil(icount: bigint): MachineOutcome | undefined {
    while (this.#outcome !== undefined || this.#sum("ICOUNT") < icount) {
      const { outcome, nextNs } = this.#turn(icount);
      if (outcome) return outcome;
      if (nextNs === Number.POSITIVE_INFINITY) this.#host.wait();
      else if (nextNs > this.#host.now()) this.#host.wait(nextNs);
    }
    return undefined;
  }

  /** What it had of its thread and its room is free. Requires: nobody asks it anything any more. */
  [Symbol.dispose](): void {
    this.#threads?.end();
    this.#io.close();
    this.#persistent[Symbol.dispose]();
    this.#profiler?.[Symbol.dispose]();
    this.memory[Symbol.dispose]();
    this.#room.leave(this.#vcpus, this.#space);
    this.#backing[Symbol.dispose]();
  }

  /**
   * A machine that goes on as this one does, on the same thread, at other hands: they share translated code and, until one of them
   * writes, frames. Throws ForkError, which says why, where this one has what cannot be shared. Requires: as `whileStill`.
   */
  fork(host: MachineHost): Machine {
    checkFork(this.#config, this.#threads !== undefined);
    return this.whileStill((state) => {
      const { config, file } = forkedConfig(this.#config, host, (offset, into) => this.freezeDisks(offset, into).disks);
      using _ = file;
      return new Machine(config, host, { machine: this, state });
    });
  }

  #turn(until: bigint): Turn {
    this.#resting?.[Symbol.dispose]();
    this.#resting = undefined;
    const next = this.#outcome === undefined ? this.#sliceOrStop(until) : busy;
    if (this.#outcome === undefined) return next;
    this.#threads?.end();
    this.#platform.flush();
    return { outcome: this.#outcome, nextNs: 0 };
  }

  #sliceOrStop(until: bigint): Turn {
    try {
      return this.#slice(until);
    } catch (error) {
      if (!(error instanceof StoppedWaiting)) throw error;
      return this.#end("stopped", "");
    }
  }

  /** One slice of one vCPU, and what comes before and after it. */
  #slice(until: bigint): Turn {
    this.#clock.ringDue();
    if (this.#host.poll()) return this.#end("stopped", "");
    for (const input of this.#serialInput) input.feed();
    this.#host.streams?.poll();
    if (!this.#pollIo()) return busy;
    this.#asyncFaults?.poll();
    this.#peripherals.balloon?.setTarget(Math.floor((this.#host.balloonBytes ?? 0) / pageSize));
    this.#threads?.answer(this.#platform);
    this.#chaos?.strike();
    const vcpu = this.#turns.vcpu;
    this.#gaveWay = false;
    const from = vcpu.u64("ICOUNT");
    const compiledBefore = vcpu.u64("COMPILED");
    const started = this.#host.now();
    this.memory.look(started, false);
    if (this.#standsStill()) return { nextNs: started + pausedLookNs };
    const exit = this.#runSlice(from, until);
    this.#clock.await();
    this.#exits[exit.reason] = (this.#exits[exit.reason] ?? 0) + 1;
    this.#measure(
      Number(vcpu.u64("ICOUNT") - from),
      Number(vcpu.u64("COMPILED") - compiledBefore),
      this.#host.now() - started,
    );
    if (exit.reason === "budget") this.#profiler?.ran(vcpu);
    this.#digests.look(this.#sum("ICOUNT"));
    switch (exit.reason) {
      case "budget":
        this.#turns.ran(this.#gaveWay);
        return busy;
      case "halt":
        return this.#turns.slept() && this.#outcome === undefined ? this.#idle() : busy;
      case "shutdown":
        return this.#end("reset", "the guest caused a triple fault");
      case "fault":
        return this.#end("error", "an exception was caught that nobody asked for");
      default:
        return assertNever(exit);
    }
  }

  stats(): MachineStats {
    const instructions = Number(this.#sum("ICOUNT"));
    const compiled = Number(this.#sum("COMPILED"));
    const { interpretedMs, compiledMs } = this.#times.estimate();
    return {
      guestInstructions: instructions,
      tiers: [
        { name: "interpreter", instructions: instructions - compiled, ms: interpretedMs },
        { name: "regions", instructions: compiled, ms: compiledMs },
      ],
      blocksLifted: this.#engine.stats.lifted,
      blocksLearnt: this.#engine.runtime.learnt_taken(),
      regionsKept: this.#engine.regions.stats.kept,
      regions: this.#engine.regions.stats.regions + (this.#threads?.sum("REGIONS") ?? 0),
      wasmBytes: this.#engine.regions.stats.wasmBytes + (this.#threads?.sum("WASM_BYTES") ?? 0),
      tlbMisses: Number(this.#sum("TLB_MISSES")),
      pageWalks: Number(this.#sum("WALKS")),
      exits: { ...this.#exits, ...this.#engine.leavesByName() },
      framesTouched: this.#space.framesTouched,
      ...(this.#backing.evicted && {
        swap: {
          ...this.#space.swap.counts,
          deferred: this.#asyncFaults?.deferred ?? 0,
          backing: this.#backing.evicted.stats(),
        },
      }),
      ...(this.#peripherals.balloon && { balloon: balloonStats(this.#peripherals.balloon) }),
    };
  }

  /** Where the time went; undefined without `profile`. */
  samples(): Iterable<Sample> | undefined {
    return this.#profiler?.samples();
  }

  /**
   * Calls `look` with the machine's state, while nothing of it moves, its memory neither. Requires: called between two runs, or
   * by the host in `poll`.
   */
  whileStill<T>(look: (state: MachineState) => T): T {
    const others = this.#threads?.pause(this.#platform, this.#host) ?? [];
    try {
      return look(this.#save(others));
    } finally {
      for (const disk of this.#peripherals.disks) disk.goOn();
      this.#threads?.goOn(this.#platform);
    }
  }

  /**
   * Has the disks written into a snapshot from `offset` on (`Blk.freeze`); where that ends. Requires: called in `whileStill`. Throws
   * `IoError` where a disk cannot be saved.
   */
  freezeDisks(offset: number, file: HostFile | undefined): { disks: SavedDisk[]; end: number } {
    return freezeDisks(this.#peripherals.disks, offset, file);
  }

  #save(others: readonly VcpuThreadState[]): MachineState {
    const devices = this.#platform.save();
    for (const [n, { lapic, kvmClock }] of others.entries()) {
      devices[lapicName(n + 1)] = lapic;
      devices[kvmClockName(n + 1)] = kvmClock;
    }
    return {
      memoryBytes: this.#config.memoryBytes,
      clock: this.#config.clock,
      timeNs: this.#clock.now(),
      vcpus: this.#vcpus.map((vcpu) => saveVcpu(vcpu, this.#engine.runtime.flags(vcpu.vp))),
      msrs: [...this.#msrs.map((msrs) => msrs.save()), ...others.map(({ msrs }) => msrs)],
      devices,
      ...(this.#virtual && { turns: this.#turns.save() }),
      ...(this.#seeded && { random: this.#seeded.state }),
    };
  }

  /** What the thread of each vCPU goes on with. */
  #threadStates({ devices, msrs }: MachineState): readonly VcpuThreadState[] {
    return msrs.map((each, n) => ({ lapic: devices[lapicName(n)], kvmClock: devices[kvmClockName(n)], msrs: each }));
  }

  /** Of everything a guest could ever see. */
  digest(): MachineDigest {
    const { runtime } = this.#engine;
    let absent = 0n;
    this.#space.forEachPage((gfn, frame) => {
      if (frame === 0) absent ^= runtime.digest_page(gfn, this.#space.swap.peek(gfn));
    });
    return digestMachine(this.#vcpus, this.#space.header, absent, this.#platform.digestInput(), runtime);
  }

  /** The network card, where there is one. */
  get net(): Net | undefined {
    return this.#peripherals.net;
  }

  /** What is there to look at, for debuggers and tests; nobody changes it. */
  get parts(): MachineParts {
    const platform = this.#platform;
    return {
      vcpu: this.#turns.vcpu,
      vcpus: this.#vcpus,
      memory: this.#space,
      engine: this.#engine,
      // Encoded when it is looked at: most want the other parts.
      get devices() {
        return platform.digestInput();
      },
    };
  }

  get #virtual(): boolean {
    return this.#config.clock === "virtual";
  }

  #timeSource(): () => number {
    // One instruction of any vCPU is one nanosecond: time goes on whoever runs.
    if (this.#virtual) return () => Number(this.#sum("ICOUNT"));
    return () => this.#host.now() - this.#startNs;
  }

  #runSlice(from: bigint, until: bigint): VmExit {
    const vcpu = this.#turns.vcpu;
    this.#platform.selectCpu(this.#turns.current);
    if (this.#tracer?.steps(from)) return this.#engine.step(vcpu);
    const others = this.#sum("ICOUNT") - from;
    const ends = [this.#sliceEnd(from, others), until - others, this.#turns.sliceEnd()];
    const end = ends.reduce((first, each) => (each < first ? each : first));
    return this.#engine.run(vcpu, this.#tracer?.sliceEnd(from, end) ?? end);
  }

  /** Over all vCPUs. */
  #sum(field: "ICOUNT" | "COMPILED" | "TLB_MISSES" | "WALKS"): bigint {
    const first = this.#vcpus[0].u64(field);
    return this.#vcpus.length === 1 ? first : this.#vcpus.slice(1).reduce((sum, each) => sum + each.u64(field), first);
  }

  /**
   * Retired instructions at which the slice from `from` ends; `others`: those that other vCPUs have retired. An alarm set
   * meanwhile for an earlier time ends it at once.
   */
  #sliceEnd(from: bigint, others: bigint): bigint {
    const untilAlarm = this.#clock.next() - this.#clock.now();
    if (this.#virtual) {
      const most = BigInt(Math.max(1, Math.min(untilAlarm, longestVirtualSlice)));
      const slice = this.#digests.limit(from + others, most);
      this.#clock.await(this.#clock.now() + Number(slice));
      return from + slice;
    }
    const ns = nextSliceNs(untilAlarm);
    this.#clock.await(this.#clock.now() + ns);
    return from + this.#sizer.instructions(ns, this.#engine.regions.isGathering);
  }

  #measure(instructions: number, compiled: number, ns: number): void {
    this.#times.add(instructions - compiled, compiled, ns);
    this.#sizer.measure(instructions, ns);
  }

  /** Hands devices what their services have sent; false when the machine is over by that. */
  #pollIo(): boolean {
    try {
      this.#io.poll();
      return true;
    } catch (error) {
      if (!(error instanceof IoError)) throw error;
      this.#end("error", error.message);
      return false;
    }
  }

  /** HLT: until an alarm or input. */
  #idle(): Turn {
    if (this.#io.hasWork) return busy;
    this.#platform.flush();
    this.memory.look(this.#host.now(), true);
    const next = this.#clock.next();
    if (this.#virtual && next !== Number.POSITIVE_INFINITY) {
      this.#clock.skipTo(next);
      return busy;
    }
    this.#resting = this.#profiler?.idle();
    return { nextNs: this.#host.now() + (next - this.#clock.now()) };
  }

  #end(reason: MachineOutcome["reason"], detail: string): Turn {
    this.#outcome ??= { reason, detail };
    return busy;
  }

  /** vCPUs that this thread runs. */
  get #localVcpus(): readonly Vcpu[] {
    return this.#threads ? this.#vcpus.slice(0, 1) : this.#vcpus;
  }

  #boot(): void {
    const random = (target: Uint8Array): void => this.#fillRandom(target);
    bootMachine(this.#config, this.#space, this.#vcpus, random);
    this.#peripherals.generation.begin(random);
  }

  /** For want of memory; it does not while it has a turn. */
  #standsStill(): boolean {
    if (this.memory.isPaused !== this.#paused) {
      this.#paused = !this.#paused;
      if (this.#paused) this.#threads?.pause(this.#platform, this.#host);
      else this.#threads?.goOn(this.#platform);
    }
    return this.#paused;
  }

  #resume(state: MachineState): void {
    for (const [cpu, vcpu] of this.#vcpus.entries()) restoreVcpu(vcpu, state.vcpus[cpu]);
    this.#clock.skipTo(state.timeNs);
    this.#platform.restore(state.devices);
    for (const [cpu, msrs] of this.#msrs.entries()) msrs.restore(state.msrs[cpu]);
    if (state.turns) this.#turns.restore(state.turns);
    if (this.#seeded && state.random !== undefined) this.#seeded.state = state.random;
    this.#digests.goOnFrom(this.#sum("ICOUNT"));
    // From the host, whatever the seed: copies of a machine are not to draw the same numbers. In virtual time they go on as it would have.
    if (!this.#virtual) this.#peripherals.generation.renew((target) => this.#host.random(target));
  }

  #buildPlatform(): Platform {
    return new Platform({
      ram: () => this.#space.memslots.map((slot) => ({ base: slot.gpa, size: slot.sizeBytes })),
      clock: this.#clock,
      cpus: this.#localVcpus.length,
      remoteApics: this.#threads?.apics ?? [],
      onApicAddress: (address) => publishApic(this.#vcpus[0], address),
      tscFrequencyHz,
      tsc: (cpu) => ({
        read: () => this.#readTsc() + this.#vcpus[cpu].u64("TSC_OFFSET"),
        timeOf: (tsc) => Number(BigInt.asIntN(64, tsc - this.#vcpus[cpu].u64("TSC_OFFSET"))),
      }),
      signals: (cpu) => this.#signalsTo(cpu),
      wallClock: () => this.#wallClock(),
      serial: Array.from({ length: 4 }, (_, port) => this.#serialHost(port)),
      power: {
        onPowerOff: () => this.#stop("poweroff"),
        onReset: () => this.#stop("reset"),
      },
    });
  }

  /** How a local APIC reaches its vCPU. Who signals another vCPU gives way to it. */
  #signalsTo(cpu: number): VcpuSignals {
    const signal = (post: (vcpu: Vcpu) => void): void => {
      post(this.#vcpus[cpu]);
      if (cpu === this.#turns.current) return;
      this.#gaveWay = true;
      this.#turns.vcpu.raiseEvent(Event.host);
    };
    return {
      onPending: () => signal((vcpu) => vcpu.raiseEvent(Event.interrupt)),
      onNmi: () => signal(postNmi),
      onInit: () => signal(postInit),
      onStartup: (vector) => signal((vcpu) => postStartup(vcpu, vector)),
    };
  }

  #serialHost(port: number): SerialHost {
    return {
      onTransmit: (bytes) => this.#host.serialOutput(port, bytes),
      onReceiveSpace: () => this.#serialInput[port]?.feed(),
    };
  }

  /** The guest asked for the machine's end: it takes effect when the running instruction is done. */
  #stop(reason: "poweroff" | "reset"): void {
    this.#outcome ??= { reason, detail: "" };
    this.#turns.vcpu.raiseEvent(Event.host);
  }

  #wallClock(): number {
    // A deterministic run starts at a fixed moment.
    const virtualStartMs = Date.UTC(2026, 0, 1);
    return this.#virtual ? virtualStartMs + this.#clock.now() / 1e6 : this.#host.wallClock();
  }

  #fillRandom(target: Uint8Array): void {
    if (this.#seeded) this.#seeded.fill(target);
    else this.#host.random(target);
  }

  #readTsc(): bigint {
    return BigInt(Math.floor(this.#clock.now()));
  }

  /** Of the first vCPU, which this thread runs in any case. */
  #buildAsyncFaults(): AsyncFaults {
    const isFar = remoteOf(this.#config.memoryBacking) !== undefined;
    return new AsyncFaults(this.#space, {
      enable: (on) => this.#vcpus[0].setU32("ASYNC_FAULTS", on && isFar ? 1 : 0),
      interrupt: (vector) => void this.#platform.lapics[0].accept(deliveryMode.fixed, vector, false),
    });
  }

  #buildMsrs(vcpu: Vcpu): MsrFile {
    const kvmClock = new KvmClock(this.#space, tscFrequencyHz, () => this.#wallClock() - this.#clock.now() / 1e6);
    this.#platform.register(kvmClockName(vcpu.id), kvmClock);
    return new MsrFile({
      lapic: this.#platform.lapics[vcpu.id],
      kvmClock,
      ...(vcpu.id === 0 && { asyncFaults: this.#asyncFaults }),
      unknown: (index, write) =>
        this.#reportOnce(`${write ? "write to" : "read of"} unknown MSR 0x${index.toString(16)}`),
    });
  }

  #engineHost(): EngineHost {
    const machine = this;
    return engineHostOf({
      cpus: this.#config.cpus ?? 1,
      get space() {
        return machine.#space;
      },
      get platform() {
        return machine.#platform;
      },
      get vcpu() {
        return machine.#turns.vcpu;
      },
      get lapic() {
        return machine.#platform.lapics[machine.#turns.current];
      },
      get msrs() {
        return machine.#msrs[machine.#turns.current];
      },
      get asyncFaults() {
        return machine.#asyncFaults;
      },
      readTsc: () => this.#readTsc(),
      fillRandom: (target) => this.#fillRandom(target),
      takePosted: () => this.#takePosted(),
      notice: (line) => this.#reportOnce(line),
    });
  }

  /** What other threads have sent to vCPU 0. */
  #takePosted(): void {
    if (this.#threads === undefined) return;
    const lapic = this.#platform.lapics[0];
    takePosted(this.#vcpus[0], (vector, level) => lapic.accept(deliveryMode.fixed, vector, level));
  }

  #reportOnce(line: string): void {
    if (this.#reported.has(line)) return;
    this.#reported.add(line);
    this.#host.report("notice", line);
  }
}

const balloonStats = (balloon: Balloon): BalloonStats => ({
  bytes: balloon.actualPages * pageSize,
  releasedBytes: balloon.releasedPages * pageSize,
  guest: balloon.statistics(),
});
