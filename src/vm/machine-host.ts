/**
 * What a machine asks of the thread that runs it, and what it tells.
 *
 * A machine's turns are synchronous: the vCPU loop calls the host, never the other way round. What comes from outside
 * (bytes on a serial line, a wish to stop) waits in shared memory until the machine looks.
 */

import type {
  DiskConfig,
  GuestMemoryStatistics,
  IoRequest,
  IoThreadSetup,
  NearService,
  SharedFiles,
  StreamHub,
} from "#devices";
import type { EmitterSetup, PassName } from "#jit";
import type { Discard, MemoryBacking, MemoryObjectStats, MemoryServices, PageFile, ReclaimOptions } from "#memory";
import type { NetworkOptions } from "#net/rules";
import type { BootBytes } from "./boot/index.ts";
import type { HostPressure, MemoryPressure } from "./memory-pressure.ts";
import type { PmemConfig } from "./persistent-memory.ts";

export type { PassName };

import type { VcpuThreadSetup } from "./vcpu-thread.ts";

/** What `--trace` can show; each is a line of text an event. */
export type TraceEvent = "instructions" | "blocks" | "exceptions" | "interrupts" | "io" | "msr";

export interface TraceOptions {
  readonly events: readonly TraceEvent[];
  /** First retired instruction that is shown. */
  readonly from?: number;
  /** Instruction count after which nothing more is shown. */
  readonly to?: number;
}

export interface EngineOptions {
  /** Never compile: everything runs in the IR interpreter. */
  readonly interpreterOnly?: boolean;
  /** Entries of a block before it is compiled. */
  readonly hotThreshold?: number;
  /** Flush the TLB, drop regions and so on at random moments of this seed; the guest must see nothing of it. */
  readonly chaosSeed?: number;
  /** Evict pages at random moments of this seed, which `chaosSeed` does too; the guest must see nothing of it. */
  readonly evictionSeed?: number;
  /** Optimisations that are left out (jit/passes.ts). */
  readonly without?: readonly PassName[];
}

/** A machine as plain data: it can be sent to a thread. */
export interface MachineConfig {
  /** A bzImage or an ELF vmlinux; none is needed by a machine that goes on from a snapshot. */
  readonly kernel?: BootBytes;
  /** Of the bzImage, when `kernel` is what was unpacked from it. */
  readonly setupHeader?: Uint8Array;
  readonly initrd?: BootBytes;
  readonly commandLine: string;
  readonly memoryBytes: number;
  /** What it can grow to while it runs (virtio-mem). Over `memoryBytes` by a multiple of `pluggableAlignment`. */
  readonly memoryMaxBytes?: number;
  /** vCPUs; one without a word. */
  readonly cpus?: number;
  /** Guest time follows the host's clock, or counts retired instructions. */
  readonly clock: "wall" | "virtual";
  /** Every random number of the machine comes from it; without one, from the host. */
  readonly seed?: number;
  /** Disks (virtio), /dev/vda and so on in a Linux guest. */
  readonly disks?: readonly DiskConfig[];
  /** Files as persistent memory (virtio), /dev/pmem0 and so on in a Linux guest. */
  readonly pmem?: readonly PmemConfig[];
  /** Where pages go that are evicted; without one, none can be. */
  readonly memoryBacking?: MemoryBacking;
  /** Take pages from the guest, which go to the backing: to a compressed one without a word about it. */
  readonly reclaim?: ReclaimOptions;
  /** A memory balloon (virtio): the guest gives back what it does not use. */
  readonly balloon?: boolean;
  /** An entropy device (virtio). */
  readonly rng?: boolean;
  /** A network card, and what it is plugged into (#net). */
  readonly network?: NetworkOptions;
  /** A digest of CPU, memory and devices each so many retired instructions. */
  readonly digestEvery?: number;
  readonly trace?: TraceOptions;
  /** Keep samples of where the time goes (profiler.ts). */
  readonly profile?: boolean;
  /** Directories of the host. */
  readonly shares?: readonly ShareConfig[];
  /** Sockets between the host and the guest (virtio-vsock). */
  readonly vsock?: boolean;
  /** Ports of a virtio console (devices/virtio/console); none, and no console, when empty or absent. */
  readonly ports?: readonly string[];
  readonly engine: EngineOptions;
}

/** A directory of the host, which the guest mounts by its tag (virtiofs). */
export interface ShareConfig {
  /** At most 36 bytes. */
  readonly tag: string;
  readonly hostPath: string;
  readonly readOnly: boolean;
}

/** How a machine ended. `detail` is one line for a person, empty where the reason says all. */
export interface MachineOutcome {
  readonly reason: "poweroff" | "reset" | "panic" | "stopped" | "error";
  readonly detail: string;
}

/** Counters of a machine since it was made. */
export interface MachineStats {
  /** Retired; an estimate in wall-clock mode. */
  readonly guestInstructions: number;
  /** Where they were retired, and the time spent there. */
  readonly tiers: readonly TierStats[];
  /** Blocks that the machine's thread has lifted, and those that it took as earlier boots had lifted them. */
  readonly blocksLifted: number;
  readonly blocksLearnt: number;
  /** Compiled regions, and those of them that earlier boots had emitted. */
  readonly regions: number;
  readonly regionsKept: number;
  readonly wasmBytes: number;
  readonly tlbMisses: number;
  /** Of these and of others: those that began at the first level, since nothing was known of the region of 2 MiB. */
  readonly pageWalks: number;
  /** By reason. */
  readonly exits: Readonly<Record<string, number>>;
  /** Frames that hold guest memory, 4 KiB each: what was touched, and not given back since. */
  readonly framesTouched: number;
  /** Of a machine with a memory backing. */
  readonly swap?: SwapStats;
  /** Of a machine with a balloon. */
  readonly balloon?: BalloonStats;
}

export interface SwapStats {
  /** Pages evicted, and brought back, since the machine began. */
  readonly out: number;
  readonly in: number;
  /** Of these, page faults that the guest did not wait for. */
  readonly deferred: number;
  readonly backing: MemoryObjectStats;
}

export interface BalloonStats {
  /** In the balloon: what the guest does without. */
  readonly bytes: number;
  /** Given back since the machine began, by inflating and by reports of what the guest does not use. */
  readonly releasedBytes: number;
  /** What the guest last told of its memory. */
  readonly guest: GuestMemoryStatistics;
}

export interface TierStats {
  readonly name: string;
  readonly instructions: number;
  readonly ms: number;
}

/** Bytes on their way to the guest. */
export interface ByteSource {
  readonly available: number;
  /** Fills `target` from the start with what there is, and gives how many bytes that were. */
  read(target: Uint8Array): number;
}

export interface MachineHost {
  /** The bytes of runtime.wasm, which `tools/build-runtime.ts` makes of `src/runtime`. */
  readonly runtimeWasm: Uint8Array<ArrayBuffer>;
  /** Those of the interpreter, where they are kept (tools/build-bundle.ts). */
  readonly interpreterWasm?: Uint8Array<ArrayBuffer> | undefined;
  /** What waits to be received by COM1 to COM4. */
  readonly serialInput: readonly ByteSource[];
  /** Streams to programs in the guest; it lives longer than a machine. Absent: there are none. */
  readonly streams?: StreamHub;
  /** Bytes the guest sent by COM(`port` + 1). Blocks while the reader is far behind. */
  serialOutput(port: number, bytes: Uint8Array): void;
  /** Nanoseconds that never go back, from an arbitrary start. */
  now(): number;
  /** Milliseconds since 1970 UTC. */
  wallClock(): number;
  random(target: Uint8Array): void;
  /**
   * Looks at what the outside asks for. True: `run` is to return "stopped". Requires: called every few milliseconds
   * at most, and before input is looked at, since `wait` counts what came after the last `poll`.
   */
  poll(): boolean;
  /**
   * Sleeps until `done`, which is asked again whenever something may have come. False: the machine is to stop instead. Does nothing else that
   * is asked for, and so may be called in mid-instruction.
   */
  waitFor(done: () => boolean): boolean;
  /** Sleeps until `now()` is `untilNs` (forever without one) or something came since the last `poll`. */
  wait(untilNs?: number): void;
  /**
   * Opens a file for persistent memory, made where `create` says so and there is none; it is this machine's alone until it is closed, or
   * shared with others that read. Throws an Error that says what is wrong. Absent where there are no files.
   */
  openPages?(name: string, access: "read" | "write", create: boolean): PageFile;
  /** A file for a moment. Absent where there are none. */
  temporaryFile?(): TemporaryFile;
  /** What kinds of memory backings need. */
  readonly memory?: MemoryServices;
  /** Bytes that the guest is asked to do without. */
  readonly balloonBytes?: number;
  /** How short the host is of memory; not at all, where it does not say. */
  readonly memoryPressure?: HostPressure;
  /** What presses on the machine's memory is another thing from now on, or it stands still, or goes on. */
  memoryChanged?(pressure: MemoryPressure): void;
  /** What the machine holds of the host's memory now, in pages: frames, and what evicted pages take. */
  noteMemory?(frames: number, stored: number): void;
  /** Part of the machine's memory is out of reach, for that reason, and the machine waits when it needs it; or is no more. */
  memoryOutOfReach?(reason: string | undefined): void;
  /** A machine is about to use the first `bytes` of a memory, everywhere and at random. Absent where nothing can be done for that. */
  keepInLargePages?(memory: WebAssembly.Memory, bytes: number): void;
  /**
   * Sets `bits` in each of these 32-bit words of a shared memory every `periodMs`, until it is disposed of. Absent where
   * nothing runs beside the machine.
   */
  startTicker?(memory: WebAssembly.Memory, words: readonly number[], bits: number, periodMs: number): Disposable;
  /** `line` belongs to a stream of its own: events traced, digests, or remarks such as a missing instruction. */
  report(kind: ReportKind, line: string): void;
  /**
   * Starts a thread that calls `runVcpuThread` with this. Absent where there are none, or where processors of the host do not
   * keep the order of memory accesses that x86 promises: then one thread runs all vCPUs in turn.
   */
  startVcpu?(setup: VcpuThreadSetup): void;
  /**
   * Starts a thread that calls `runEmitterThread` with this. Absent where nothing runs beside the machine: then emitting what
   * it compiles is time that the guest does not get.
   */
  startEmitter?(setup: EmitterSetup): void;
  /** Absent where the host takes no memory back; then a guest's free frames wait in the arena. */
  readonly discard?: Discard | undefined;
  /** Starts a thread that calls `runIoThread` with this. Absent where there are none: then no device has files or networks. */
  startIo?(setup: IoThreadSetup): void;
  /**
   * The service on the machine's thread, where this host has it there: undefined where it belongs on a thread of its own. Throws an Error
   * that says what is wrong with the request.
   */
  nearService?(request: IoRequest): NearService | undefined;
  /** Files that an I/O thread has open. Absent where threads have none in common. */
  readonly sharedFiles?: SharedFiles | undefined;
}

/** A file that is gone when it is disposed of, but for who has it open. */
export interface TemporaryFile extends Disposable {
  readonly name: string;
  /** By which the host's threads write to it. */
  readonly descriptor: number;
}

export type ReportKind = "trace" | "digest" | "notice";

/** How a machine's turn went. */
export interface Turn {
  /** How the machine ended, if it did; a reset is an end. */
  readonly outcome?: MachineOutcome;
  /** `now()` of the host when it has something to do by itself: past where it has already, Infinity where others must come first. */
  readonly nextNs: number;
}

/** What the thread sees of a machine. */
export interface RunnableMachine extends Disposable {
  /**
   * Some milliseconds of the machine's life, or none. The next turn is due at the time it gives, or when something has come from
   * outside since. Requires: no turn told of an end.
   */
  turn(): Turn;
  stats(): MachineStats;
  /** A file for a viewer of profiles, where the machine was to make one. */
  profile?(): string | undefined;
}
