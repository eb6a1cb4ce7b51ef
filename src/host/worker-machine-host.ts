/** What a machine asks for, answered by a Node worker thread: see `MachineHost` for the promises. */
import { randomFillSync } from "node:crypto";
import { type MessagePort, Worker } from "node:worker_threads";
import { ByteRingReader } from "#base";
import { type MachineMessage, type MachineStart, PanicWatch, requests, unreadLimitBytes, words } from "#control";
import type { MachineHost, ReportKind, VcpuThreadSetup } from "#vm";
import { hostModule } from "./package-files.ts";
import type { TickerStart } from "./ticker-worker.ts";
import type { VcpuStart } from "./vcpu-worker.ts";

/** Reports go out in batches of so many lines, or when the machine is next looked at. */
const reportBatch = 256;
/** A timer that fires early makes the machine look again; one that fires late is time lost. */
const longestWaitMs = 1000;

/** Nanoseconds of a clock that all threads share: each thread's `performance.now()` begins at another moment. */
export const hostNow = (): number => Number(process.hrtime.bigint());

/** What a vCPU's thread allots in JavaScript is small and soon forgotten. */
const youngGenerationMb = 8;

/** Hosts on which WebAssembly's plain loads and stores have x86's memory order. */
const hasX86MemoryOrder = process.arch === "x64";

export class WorkerMachineHost implements MachineHost {
  readonly runtimeWasm: Uint8Array<ArrayBuffer>;
  readonly serialInput: readonly ByteRingReader[];
  readonly panic = new PanicWatch();
  readonly #words: Int32Array;
  readonly #port: MessagePort;
  readonly #sendStats: () => void;
  readonly startVcpu: ((setup: VcpuThreadSetup) => void) | undefined;
  readonly #reports = new Map<ReportKind, string[]>();
  #bellSeen = 0;

  constructor(start: MachineStart, runtimeWasm: Uint8Array<ArrayBuffer>, port: MessagePort, sendStats: () => void) {
    this.runtimeWasm = runtimeWasm;
    this.serialInput = start.inputs.map((input) => new ByteRingReader(input));
    this.#words = new Int32Array(start.words);
    this.#port = port;
    this.#sendStats = sendStats;
    if (hasX86MemoryOrder) {
      this.startVcpu = (setup) => {
        const workerData = { setup, words: start.words } satisfies VcpuStart;
        new Worker(hostModule("vcpu-worker"), {
          workerData,
          name: `memvisor vCPU ${setup.cpu}`,
          resourceLimits: { maxYoungGenerationSizeMb: youngGenerationMb },
        });
      };
    }
  }

  serialOutput(port: number, bytes: Uint8Array): void {
    if (port === 0) this.panic.see(bytes);
    this.#waitForReader();
    Atomics.add(this.#words, words.unreadBytes, bytes.length);
    this.post({ type: "output", port, bytes });
  }

  now(): number {
    return hostNow();
  }

  wallClock(): number {
    return Date.now();
  }

  random(target: Uint8Array): void {
    randomFillSync(target);
  }

  poll(): boolean {
    this.#bellSeen = Atomics.load(this.#words, words.bell);
    const bits = Atomics.load(this.#words, words.requests);
    if (bits !== 0) this.#answer(bits);
    if (this.#reports.size > 0) this.flushReports();
    return (bits & requests.stop) !== 0 || this.panic.over;
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

  startTicker(memory: WebAssembly.Memory, words: readonly number[], bits: number, periodMs: number): Disposable {
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const workerData: TickerStart = {
      buffer: memory.buffer as unknown as SharedArrayBuffer,
      words,
      bits,
      periodMs,
      stop: stop.buffer,
    };
    new Worker(hostModule("ticker-worker"), { workerData, name: "memvisor ticker" });
    return {
      [Symbol.dispose]: () => {
        Atomics.store(stop, 0, 1);
        Atomics.notify(stop, 0);
      },
    };
  }

  flushReports(): void {
    for (const [kind, lines] of this.#reports) {
      this.#waitForReader();
      const size = lines.reduce((sum, line) => sum + line.length, 0);
      Atomics.add(this.#words, words.unreadBytes, size);
      this.post({ type: "report", kind, lines, size });
    }
    this.#reports.clear();
  }

  post(message: MachineMessage): void {
    this.#port.postMessage(message);
  }

  #answer(bits: number): void {
    if ((bits & requests.stats) === 0) return;
    Atomics.and(this.#words, words.requests, ~requests.stats);
    this.#sendStats();
  }

  #waitForReader(): void {
    for (;;) {
      const unread = Atomics.load(this.#words, words.unreadBytes);
      const stop = (Atomics.load(this.#words, words.requests) & requests.stop) !== 0;
      if (unread < unreadLimitBytes || stop) return;
      Atomics.wait(this.#words, words.unreadBytes, unread, longestWaitMs);
    }
  }
}
