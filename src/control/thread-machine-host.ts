/**
 * What a machine asks for, answered on the thread that runs it: see `MachineHost` for the promises.
 *
 * Bytes and wishes come in shared words, messages go out (thread-protocol.ts); what differs between Node and a page is a
 * `ThreadHost`.
 */
import { ByteRingReader } from "#base";
import { type IoRequest, type IoThreadSetup, type NearService, type SharedFiles, StreamHub } from "#devices";
import type { EmitterSetup } from "#jit";
import { type Discard, type MemoryServices, type PageFile, pressures } from "#memory";
import type { SnapshotSink, SnapshotSource } from "#snapshot";
import type {
  BootFile,
  HostPressure,
  MachineHost,
  MemoryPressure,
  ReportKind,
  TemporaryFile,
  VcpuThreadSetup,
} from "#vm";
import { type Order, OrderDesk } from "./orders.ts";
import { PanicWatch } from "./panic-watch.ts";
import {
  hostChose,
  type MachineMessage,
  type MachineStart,
  requests,
  unreadLimitBytes,
  words,
} from "./thread-protocol.ts";
import type { TickerStart } from "./ticker.ts";

/** Reports go out in batches of so many lines, or when the machine is next looked at. */
const reportBatch = 256;
/** A timer that fires early makes the machine look again; one that fires late is time lost. */
const longestWaitMs = 1000;

/** What a thread that runs a machine has of the world around it. */
export interface ThreadHost {
  readonly runtimeWasm: Uint8Array<ArrayBuffer>;
  readonly interpreterWasm?: Uint8Array<ArrayBuffer> | undefined;
  /** 32 bytes that differ when anything of memvisor does that translates; absent where nobody knows. */
  readonly build?: Uint8Array;
  /** Nanoseconds of a clock that all threads share. */
  now(): number;
  random(target: Uint8Array): void;
  post(message: MachineMessage): void;
  /** A file's bytes, in memory of their own: it is given back when they are in the guest's. */
  readFile(path: string): Promise<Uint8Array<ArrayBuffer>>;
  /** A file that a machine is booted from, to be read while that is made. Absent where files can only be read as wholes. */
  openBootFile?(path: string): BootFile & Disposable;
  /** A file to be read piece by piece, open until it is disposed of. Throws an Error that says what is wrong with it. */
  openFile?(path: string, key?: string): SnapshotSource & Partial<Disposable>;
  /** A file that appears under its name when it is whole. Throws an Error that says why there can be none. */
  createFile?(path: string, key?: string): NewFile;
  /** As in `MachineHost`. */
  openPages?(name: string, access: "read" | "write", create: boolean): PageFile;
  /** As in `MachineHost`. */
  temporaryFile?(): TemporaryFile;
  /** Starts a thread that calls `runTicker`. */
  startTicker(start: TickerStart): void;
  /** As in `MachineHost`. */
  keepInLargePages?(memory: WebAssembly.Memory, bytes: number): void;
  startVcpu?(start: VcpuStart): void;
  startIo?(start: IoStart): void;
  /** As in `MachineHost`. */
  nearService?(request: IoRequest): NearService | undefined;
  readonly sharedFiles?: SharedFiles;
  /** As in `MachineHost`. */
  readonly discard?: Discard;
  startEmitter?(setup: EmitterSetup): void;
  /** Those who are to be forks of the machine that has the order to fork with this number. Absent where a fork gets a thread of its own. */
  takeNewcomers?(number: number): readonly Newcomer[];
  /** What kinds of memory backings need. */
  readonly memory?: MemoryServices;
  /** Of the whole process, where a process can tell. */
  peakRssBytes?(): number;
}

/** Who is to be a machine on this thread. */
export interface Newcomer {
  readonly start: MachineStart;
  readonly post: (message: MachineMessage) => void;
}

/** A file in the making. */
export interface NewFile extends SnapshotSink {
  /** How what lies beside this file names another one. */
  nameOf(path: string): string;
  /** It is on the disk, under its name. */
  finish(): void;
  /** It never was. */
  abandon(): void;
}

/** All that the thread of a vCPU is given. */
export interface VcpuStart {
  readonly setup: VcpuThreadSetup;
  /** The machine's shared words (thread-protocol.ts). */
  readonly words: SharedArrayBuffer;
}

/** All that an I/O thread is given. */
export interface IoStart {
  readonly setup: IoThreadSetup;
  /** Shared words whose bells it rings (thread-protocol.ts): the machine's, and those that its thread sleeps on. */
  readonly bells: readonly SharedArrayBuffer[];
}

/** Tells the machine of an I/O thread that there is something for it. */
export function ringBells({ bells }: IoStart): void {
  for (const each of bells) {
    const shared = new Int32Array(each);
    Atomics.add(shared, words.bell, 1);
    Atomics.notify(shared, words.bell);
  }
}

export class ThreadMachineHost implements MachineHost {
  readonly runtimeWasm: Uint8Array<ArrayBuffer>;
  readonly interpreterWasm: Uint8Array<ArrayBuffer> | undefined;
  readonly serialInput: readonly ByteRingReader[];
  readonly streams: StreamHub;
  readonly panic = new PanicWatch();
  readonly memory?: MemoryServices;
  readonly startVcpu: ((setup: VcpuThreadSetup) => void) | undefined;
  readonly startIo: ((setup: IoThreadSetup) => void) | undefined;
  readonly nearService: MachineHost["nearService"];
  readonly sharedFiles: SharedFiles | undefined;
  readonly discard: Discard | undefined;
  readonly startEmitter: ((setup: EmitterSetup) => void) | undefined;
  readonly openPages: MachineHost["openPages"];
  readonly temporaryFile: MachineHost["temporaryFile"];
  readonly #thread: ThreadHost;
  readonly #post: (message: MachineMessage) => void;
  readonly #words: Int32Array;
  readonly #sendStats: () => void;
  readonly #orders: OrderDesk;
  readonly #reports = new Map<ReportKind, string[]>();
  #bellSeen = 0;

  /** `bell`: the shared words that the thread sleeps on when none of its machines has anything to do. */
  constructor(
    start: MachineStart,
    bell: SharedArrayBuffer,
    thread: ThreadHost,
    post: (message: MachineMessage) => void,
    sendStats: () => void,
    carryOut: (order: Order) => unknown,
  ) {
    this.#post = post;
    this.#orders = new OrderDesk(start.orders, carryOut, (answer) => post({ type: "answer", answer }));
    this.runtimeWasm = thread.runtimeWasm;
    this.interpreterWasm = thread.interpreterWasm;
    this.serialInput = start.inputs.map((input) => new ByteRingReader(input));
    this.streams = new StreamHub(new ByteRingReader(start.streams), (message) => post({ type: "stream", message }));
    this.#thread = thread;
    this.sharedFiles = thread.sharedFiles;
    this.discard = thread.discard;
    this.#words = new Int32Array(start.words);
    this.#sendStats = sendStats;
    if (thread.nearService) this.nearService = (request) => thread.nearService?.(request);
    if (thread.openPages) this.openPages = (...file) => thread.openPages?.(...file) as PageFile;
    if (thread.temporaryFile) this.temporaryFile = () => thread.temporaryFile?.() as TemporaryFile;
    if (thread.memory) this.memory = thread.memory;
    if (thread.startEmitter) this.startEmitter = (setup) => thread.startEmitter?.(setup);
    if (thread.startIo) this.startIo = (setup) => thread.startIo?.({ setup, bells: [...new Set([start.words, bell])] });
    if (thread.startVcpu) this.startVcpu = (setup) => thread.startVcpu?.({ setup, words: start.words });
  }

  serialOutput(port: number, bytes: Uint8Array): void {
    if (port === 0) this.panic.see(bytes);
    Atomics.add(this.#words, words.unreadBytes, bytes.length);
    this.#post({ type: "output", port, bytes });
  }

  now(): number {
    return this.#thread.now();
  }

  wallClock(): number {
    return Date.now();
  }

  random(target: Uint8Array): void {
    this.#thread.random(target);
  }

  get balloonBytes(): number {
    return Atomics.load(this.#words, words.balloonPages) * 4096;
  }

  get memoryPressure(): HostPressure {
    const word = Atomics.load(this.#words, words.hostPressure);
    const limitFrames = Atomics.load(this.#words, words.hostLimit);
    return {
      level: pressures[word & (hostChose - 1)],
      chosen: (word & hostChose) !== 0,
      ...(limitFrames > 0 && { limitFrames }),
    };
  }

  memoryChanged(pressure: MemoryPressure): void {
    this.#post({ type: "pressure", pressure });
  }

  memoryOutOfReach(reason: string | undefined): void {
    this.#post({ type: "waiting", reason });
  }

  noteMemory(frames: number, stored: number): void {
    Atomics.store(this.#words, words.frames, frames);
    Atomics.store(this.#words, words.stored, stored);
  }

  /** Something came for the machine since the last `poll`. */
  get wasRung(): boolean {
    return Atomics.load(this.#words, words.bell) !== this.#bellSeen;
  }

  /** The reader of what the machine prints is far behind: until it has caught up, or wants the machine's end, there is no turn. */
  get isFlooded(): boolean {
    if (Atomics.load(this.#words, words.unreadBytes) < unreadLimitBytes) return false;
    return (Atomics.load(this.#words, words.requests) & requests.stop) === 0;
  }

  poll(): boolean {
    this.#bellSeen = Atomics.load(this.#words, words.bell);
    const bits = Atomics.load(this.#words, words.requests);
    if (bits !== 0) this.#answer(bits);
    this.#orders.poll();
    if (this.#reports.size > 0) this.flushReports();
    return (bits & requests.stop) !== 0 || this.panic.over;
  }

  waitFor(done: () => boolean): boolean {
    for (;;) {
      // Not `#bellSeen`: what came meanwhile is still to be looked at between two turns.
      const seen = Atomics.load(this.#words, words.bell);
      if (done()) return true;
      if (this.#reports.size > 0) this.flushReports();
      if ((Atomics.load(this.#words, words.requests) & requests.stop) !== 0) return false;
      Atomics.wait(this.#words, words.bell, seen, longestWaitMs);
    }
  }

  wait(untilNs?: number): void {
    const ms = untilNs === undefined ? longestWaitMs : Math.min((untilNs - this.now()) / 1e6, longestWaitMs);
    if (ms > 0) Atomics.wait(this.#words, words.bell, this.#bellSeen, ms);
  }

  report(kind: ReportKind, line: string): void {
    const lines = this.#reports.get(kind);
    if (!lines) this.#reports.set(kind, [line]);
    else if (lines.push(line) >= reportBatch) this.flushReports();
  }

  keepInLargePages(memory: WebAssembly.Memory, bytes: number): void {
    this.#thread.keepInLargePages?.(memory, bytes);
  }

  startTicker(memory: WebAssembly.Memory, words: readonly number[], bits: number, periodMs: number): Disposable {
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const buffer = memory.buffer as unknown as SharedArrayBuffer;
    this.#thread.startTicker({ buffer, words, bits, periodMs, stop: stop.buffer });
    return {
      [Symbol.dispose]: () => {
        Atomics.store(stop, 0, 1);
        Atomics.notify(stop, 0);
      },
    };
  }

  flushReports(): void {
    for (const [kind, lines] of this.#reports) {
      const size = lines.reduce((sum, line) => sum + line.length, 0);
      Atomics.add(this.#words, words.unreadBytes, size);
      this.#post({ type: "report", kind, lines, size });
    }
    this.#reports.clear();
  }

  #answer(bits: number): void {
    if ((bits & requests.stats) === 0) return;
    Atomics.and(this.#words, words.requests, ~requests.stats);
    this.#sendStats();
  }
}
