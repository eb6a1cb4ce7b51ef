/** What a thread that runs a machine, or a vCPU of one, has of Node. */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { type MessagePort, receiveMessageOnPort, Worker } from "node:worker_threads";
import type { IoStart, Newcomer, ThreadHost, VcpuStart } from "#control";
import type { EmitterSetup } from "#jit";
import type { PageFile } from "#memory";
import type { BootFile } from "#vm";
import { discard, keepInLargePages } from "./arena-memory.ffi.ts";
import { nodeDiskHost } from "./disk-files.ts";
import { memoryServices } from "./guest-memory.ts";
import { crypto } from "./late.ts";
import { buildOf, hostModule, interpreterOf, runtimeFile } from "./package-files.ts";
import { sharedFiles } from "./shared-files.ts";
import { createFile, openFile, temporaryFile } from "./snapshot-file.ts";
import type { Beside } from "./worker-thread.ts";

/** Nanoseconds of a clock that all threads share: each thread's `performance.now()` begins at another moment. */
export const hostNow = (): number => Number(process.hrtime.bigint());

/** What a vCPU's thread allots in JavaScript is small and soon forgotten. */
const youngGenerationMb = 8;

/** Hosts on which WebAssembly's plain loads and stores have x86's memory order. */
const hasX86MemoryOrder = process.arch === "x64";

/** V8 knows by its bytes a module that somebody holds: those of a thread that waits for its machine are compiled meanwhile. */
const compiled: WebAssembly.Module[] = [];

/** For a thread whose owner listens at `port`. */
export function nodeThread(port: MessagePort): ThreadHost {
  const build = buildOf();
  const runtimeWasm = readFileSync(runtimeFile());
  const interpreterWasm = interpreterOf();
  for (const bytes of [runtimeWasm, interpreterWasm]) if (bytes) compiled.push(new WebAssembly.Module(bytes));
  return {
    ...(build && { build }),
    runtimeWasm,
    interpreterWasm,
    now: hostNow,
    random: (target) => void crypto().randomFillSync(target),
    post: (message) => port.postMessage(message),
    readFile: async (path) => readFile(path),
    openBootFile,
    openFile,
    keepInLargePages,
    createFile,
    openPages,
    temporaryFile,
    takeNewcomers: newcomersAt(port),
    startTicker: (workerData) => void new Worker(hostModule("ticker-worker"), { workerData, name: "memvisor ticker" }),
    ...(hasX86MemoryOrder && { startVcpu }),
    startIo,
    sharedFiles: sharedFiles(hostNow),
    ...(discard && { discard }),
    startEmitter,
    memory: memoryServices,
    peakRssBytes: () => process.resourceUsage().maxRSS * 1024,
  };
}

/** Gives these bytes away, each once, and then draws others. */
export function randomAfter(first: Uint8Array): ThreadHost["random"] {
  let used = 0;
  return (target) => {
    if (used + target.length > first.length) return void crypto().randomFillSync(target);
    target.set(first.subarray(used, used + target.length));
    first.fill(0, used, used + target.length);
    used += target.length;
  };
}

/** A file for persistent memory. */
function openPages(name: string, access: "read" | "write", create: boolean): PageFile {
  if (create && !nodeDiskHost.exists(name)) nodeDiskHost.create(name).close();
  return nodeDiskHost.open(name, access);
}

/** Those who are sent to `port`, for who asks for them by their number. */
function newcomersAt(port: MessagePort): (number: number) => readonly Newcomer[] {
  let waiting: readonly Beside[] = [];
  return (number) => {
    for (let sent = receiveMessageOnPort(port); sent; sent = receiveMessageOnPort(port))
      waiting = [...waiting, sent.message as Beside];
    const asked = waiting.filter((each) => each.number === number);
    waiting = waiting.filter((each) => each.number !== number);
    return asked.map(({ start, port: own }) => ({ start, post: (message) => own.postMessage(message) }));
  };
}

function startVcpu(workerData: VcpuStart): void {
  new Worker(hostModule("vcpu-worker"), {
    workerData,
    name: `memvisor vCPU ${workerData.setup.cpu}`,
    resourceLimits: { maxYoungGenerationSizeMb: youngGenerationMb },
  });
}

function startEmitter(workerData: EmitterSetup): void {
  new Worker(hostModule("emitter-worker"), {
    workerData,
    name: "memvisor emitter",
    resourceLimits: { maxYoungGenerationSizeMb: 4 },
  });
}

function startIo(workerData: IoStart): void {
  new Worker(hostModule("io-worker"), {
    workerData,
    name: `memvisor ${workerData.setup.lines[0]?.service} I/O`,
    resourceLimits: { maxYoungGenerationSizeMb: youngGenerationMb },
  });
}

/** In memory of its own: a small file that Node reads by itself shares a buffer with others. */
function readFile(path: string): Uint8Array<ArrayBuffer> {
  using file = openBootFile(path);
  const bytes = new Uint8Array(file.sizeBytes);
  file.read(0, bytes);
  return bytes;
}

function openBootFile(path: string): BootFile & Disposable {
  const file = openSync(path, "r");
  return {
    sizeBytes: fstatSync(file).size,
    read: (offset, target) => {
      let done = 0;
      for (let got = 1; got > 0 && done < target.length; done += got)
        got = readSync(file, target, done, target.length - done, offset + done);
      return done;
    },
    [Symbol.dispose]: () => closeSync(file),
  };
}
