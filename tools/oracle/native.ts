/**
 * The real CPU as an executor: test/native/harness.c, compiled with the system's compiler and fed through pipes.
 *
 * Records are little-endian; their layout is `struct request` and `struct response` in harness.c. It answers in order,
 * one record for each, so a batch is written and read at the same time and matched by position. A harness that dies (code that broke out of
 * its pages) makes `run` fail with the case's name.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import { compiler, nativeProgram } from "../../test/native/programs.ts";
import { type EndState, type Executor, joinRuns, type MemoryRun, type OracleCase, stopOf } from "./case.ts";

const requestHeader = 24 + 16 * 8 + 3 * 8 + 512;
const responseHeader = 16 + 2 * 8 + 16 * 8 + 3 * 8 + 512;
const batchCases = 512;

/** The model by the name the system gives it, for recorded vectors. */
export function cpuModel(): string {
  const info = existsSync("/proc/cpuinfo") ? readFileSync("/proc/cpuinfo", "utf8") : "";
  const field = (name: string): string => new RegExp(`^${name}\\s*: (.*)$`, "m").exec(info)?.[1] ?? "?";
  return `${cpus()[0]?.model.trim()} (family ${field("cpu family")} model ${field("model")} stepping ${field("stepping")})`;
}

/** CPUID features by the names Linux gives them. */
export function cpuFeatures(): ReadonlySet<string> {
  const info = existsSync("/proc/cpuinfo") ? readFileSync("/proc/cpuinfo", "utf8") : "";
  return new Set(/^flags\s*: (.*)$/m.exec(info)?.[1].split(" ") ?? []);
}

export class NativeCpu implements Executor {
  readonly name = "native";
  #child: ChildProcess | undefined;

  static available(): boolean {
    return process.platform === "linux" && process.arch === "x64" && compiler() !== undefined;
  }

  async run(cases: readonly OracleCase[]): Promise<EndState[]> {
    const ends: EndState[] = [];
    for (let at = 0; at < cases.length; at += batchCases)
      ends.push(...(await this.#runBatch(cases.slice(at, at + batchCases))));
    return ends;
  }

  close(): void {
    this.#child?.stdin?.end();
    this.#child = undefined;
  }

  #start(): ChildProcess {
    if (this.#child && this.#child.exitCode === null && this.#child.signalCode === null) return this.#child;
    this.#child = spawn(nativeProgram("harness", "-O2", "-fno-stack-protector", "-fPIE", "-pie"), {
      stdio: ["pipe", "pipe", "inherit"],
    });
    return this.#child;
  }

  #runBatch(cases: readonly OracleCase[]): Promise<EndState[]> {
    const child = this.#start();
    const { stdin, stdout } = child;
    if (!stdin || !stdout) throw new Error("the harness has no pipes");
    return new Promise((resolve, reject) => {
      const ends: EndState[] = [];
      let rest: Buffer = Buffer.alloc(0);
      const finish = (error?: Error): void => {
        stdout.off("data", onData);
        child.off("exit", onExit);
        stdin.off("error", ignore);
        if (error) reject(error);
        else resolve(ends);
      };
      const ignore = (): void => {};
      const onExit = (code: number | null, signal: string | null): void => {
        this.#child = undefined;
        const at = cases[ends.length]?.name;
        finish(new Error(`the harness ended (${signal ?? code}) at or after case ${at}`));
      };
      const onData = (chunk: Buffer): void => {
        let bytes = rest.length ? Buffer.concat([rest, chunk]) : chunk;
        while (bytes.length >= 4 && bytes.length >= bytes.readUInt32LE(0)) {
          const size = bytes.readUInt32LE(0);
          ends.push(decodeEnd(cases[ends.length], bytes.subarray(0, size)));
          bytes = bytes.subarray(size);
        }
        rest = bytes;
        if (ends.length === cases.length) finish();
      };
      if (cases.length === 0) return resolve([]);
      stdout.on("data", onData);
      child.on("exit", onExit);
      stdin.on("error", ignore);
      stdin.write(Buffer.concat(cases.map(encodeCase)));
    });
  }
}

function encodeCase(c: OracleCase): Uint8Array {
  const patchBytes = c.patches.reduce((sum, p) => sum + 8 + p.bytes.length, 0);
  const bytes = new Uint8Array(requestHeader + c.code.length + patchBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, c.code.length, true);
  view.setUint16(6, c.mode, true);
  view.setUint32(8, Number(c.start.rip), true);
  view.setUint32(12, c.pageSeed, true);
  view.setUint32(16, c.patches.length, true);
  for (let i = 0; i < 16; i++) view.setBigUint64(24 + 8 * i, c.start.gpr[i], true);
  view.setBigUint64(152, BigInt(c.start.rflags), true);
  view.setBigUint64(160, c.start.fsBase, true);
  view.setBigUint64(168, c.start.gsBase, true);
  bytes.set(c.start.fx, 176);
  bytes.set(c.code, requestHeader);
  let at = requestHeader + c.code.length;
  for (const patch of c.patches) {
    view.setUint32(at, patch.address, true);
    view.setUint32(at + 4, patch.bytes.length, true);
    bytes.set(patch.bytes, at + 8);
    at += 8 + patch.bytes.length;
  }
  return bytes;
}

function decodeEnd(c: OracleCase, record: Uint8Array): EndState {
  // A plain array of its own: a Buffer's slice() would share its bytes.
  const bytes = new Uint8Array(record);
  const view = new DataView(bytes.buffer);
  const trap = bytes[5];
  const gpr = new BigUint64Array(16);
  for (let i = 0; i < 16; i++) gpr[i] = view.getBigUint64(32 + 8 * i, true);
  const savedRip = view.getBigUint64(24, true);
  const cr2 = view.getBigUint64(16, true);
  const [stop, rip] =
    trap === 0xff ? [{ kind: "timeout" } as const, savedRip] : stopOf(c, trap, view.getUint32(8, true), cr2, savedRip);
  const memory: MemoryRun[] = [];
  let at = responseHeader;
  for (let i = view.getUint16(6, true); i > 0; i--) {
    const length = view.getUint32(at + 4, true);
    memory.push({ address: view.getUint32(at, true), bytes: bytes.slice(at + 8, at + 8 + length) });
    at += 8 + length;
  }
  const state = {
    gpr,
    rip,
    rflags: Number(view.getBigUint64(160, true)),
    fsBase: view.getBigUint64(168, true),
    gsBase: view.getBigUint64(176, true),
    fx: bytes.slice(184, 184 + 512),
  };
  return { stop, state, memory: joinRuns(memory) };
}
