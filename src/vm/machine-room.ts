/**
 * What a machine and its forks have in common: an arena, the engine that runs all their vCPUs, one at a time.
 */
import { type EngineHost, type EngineObserver, TranslatingEngine } from "#engine";
import { passesWithout } from "#jit";
import { type AddressSpace, Arena, ArenaKernels, type PageKernels, type SharedStore } from "#memory";
import type { Vcpu } from "#vcpu";
import type { EngineOptions, MachineConfig, MachineHost } from "./machine-host.ts";
import type { FamilyFrames } from "./memory-pressure.ts";
import { usesIo } from "./peripherals.ts";

/** Frames besides the guest's memory, where the arena cannot grow. */
const spareFrameBytes = 16 << 20;
/** Entries of a block before it is compiled: chosen by the time of a boot. */
const defaultHotThreshold = 10_000;

/** Entries of a block before it is compiled. */
export const hotThresholdOf = ({ interpreterOnly, hotThreshold }: EngineOptions): number =>
  interpreterOnly ? Number.POSITIVE_INFINITY : (hotThreshold ?? defaultHotThreshold);

/** What the room is made with, besides its first machine's configuration. */
export interface RoomOptions {
  readonly engineHost: EngineHost;
  readonly observer: EngineObserver | undefined;
  /** vCPUs have threads of their own. */
  readonly threaded: boolean;
  /** Guest memory besides RAM. */
  readonly persistentBytes: number;
}

/** A room for a machine of this configuration. */
export function openRoom(config: MachineConfig, host: MachineHost, options: RoomOptions): MachineRoom {
  const { engineHost, observer, threaded, persistentBytes } = options;
  const virtual = config.clock === "virtual";
  const arena = new Arena({
    threads: threaded ? (config.cpus ?? 1) : 1,
    shared: threaded || usesIo(config),
    frameBytes: (config.memoryMaxBytes ?? config.memoryBytes) + persistentBytes + spareFrameBytes,
  });
  host.keepInLargePages?.(arena.memory, arena.maximumBytes);
  const engine = new TranslatingEngine({
    arena,
    runtimeWasm: host.runtimeWasm,
    interpreterWasm: host.interpreterWasm,
    host: engineHost,
    exact: virtual,
    observer,
    chaosSeed: config.engine.chaosSeed,
    passes: passesWithout(...(config.engine.without ?? [])),
    ...(config.profile && { now: () => host.now() }),
    hotThreshold: hotThresholdOf(config.engine),
    ...(threaded && { thread: 0 }),
    // In virtual time, two runs with a bug in them are to be the same, too.
    ...(host.startEmitter && !virtual && { startEmitter: (setup) => host.startEmitter?.(setup) }),
  });
  return new MachineRoom(arena, engine);
}

/** A machine as the others of its room see it. */
export interface RoomMate {
  frames(): number;
  isPaused(): boolean;
}

/**
 * Frames that are to be left in the arena, where several machines take them: whoever takes the last but these has others to free some, and
 * below the least part of them no guest runs.
 */
const reserveFrames = 4096;
const leastFrames = reserveFrames / 4;
const enough: FamilyFrames = { short: 0, exhausted: false, givesWay: false };

export class MachineRoom {
  readonly arena: Arena;
  readonly engine: TranslatingEngine;
  readonly kernels: PageKernels;
  #machines = 0;
  #shared: SharedStore | undefined;
  readonly #mates = new Set<RoomMate>();

  constructor(arena: Arena, engine: TranslatingEngine) {
    this.arena = arena;
    this.engine = engine;
    this.kernels = new ArenaKernels(arena, engine.runtime);
  }

  /** From now on the machine counts when frames are short, until what this gives is disposed of. */
  share(mate: RoomMate): Disposable {
    this.#mates.add(mate);
    return { [Symbol.dispose]: () => void this.#mates.delete(mate) };
  }

  /** Frames of all machines here, as one of them sees it. One alone has an arena that is large enough. */
  family(mate: RoomMate): FamilyFrames {
    if (this.#mates.size < 2) return enough;
    // In the middle of a slice as well.
    this.arena.alarmAt(leastFrames);
    const { framesLeft } = this.arena;
    if (framesLeft >= reserveFrames) return enough;
    const others = [...this.#mates].filter((each) => each !== mate);
    const running = others.filter((each) => !each.isPaused());
    // One stands still first; the next one when half of what was left is gone all the same.
    const left = reserveFrames / 2 ** (others.length - running.length);
    return {
      short: reserveFrames - framesLeft,
      exhausted: framesLeft <= leastFrames,
      givesWay: framesLeft < left && running.every((each) => each.frames() <= mate.frames()),
    };
  }

  /** Where all machines here keep equal pages once; the first that asks makes it. */
  sharedStore(make: () => SharedStore): SharedStore {
    this.#shared ??= make();
    return this.#shared;
  }

  /** vCPUs for a machine whose memory is `space`, with `host` around them. Throws ArenaError where there is no place for them. */
  enter(space: AddressSpace, cpus: number, host: EngineHost): readonly Vcpu[] {
    const vcpus: Vcpu[] = [];
    try {
      for (let cpu = 0; cpu < cpus; cpu++) vcpus.push(this.engine.createVcpu(cpu, space.header, host));
    } catch (error) {
      this.#clear(vcpus, space);
      throw error;
    }
    this.#machines++;
    return vcpus;
  }

  /** A machine is no more: its place is another one's. Where it was the last, the room goes as a whole. */
  leave(vcpus: readonly Vcpu[], space: AddressSpace): void {
    if (--this.#machines === 0) return this.engine.close();
    this.#clear(vcpus, space);
  }

  #clear(vcpus: readonly Vcpu[], space: AddressSpace): void {
    for (const vcpu of vcpus) this.engine.removeVcpu(vcpu);
    space[Symbol.dispose]();
  }
}
