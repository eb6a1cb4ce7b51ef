/**
 * One run of the guest program, wherever it runs: its lines are read as they come, and each is stamped by the host's clock.
 *
 * Law: `run` resolves with an outcome for each row it was given, whatever the contender does: it may print nothing, crash,
 * or never end.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { firstLineOfInit } from "#images";
import type { Contender } from "./contenders.ts";

export type Outcome =
  | {
      readonly kind: "done";
      /** By the guest's clock, by the host's. */
      readonly seconds: number;
      readonly hostSeconds: number;
      /** Processor time that the host gave for it, in all threads; NaN where that cannot be told. */
      readonly cpuSeconds: number;
      /** Processor time that other programs took meanwhile; NaN where that cannot be told. */
      readonly otherSeconds: number;
      readonly count: number;
      readonly sum: string;
    }
  | { readonly kind: "failed"; readonly why: string };

export interface Session {
  readonly rows: ReadonlyMap<string, Outcome>;
  /** From the start of the process to init's first line; not of a native run. */
  readonly bootSeconds?: number;
  /** Processor time of the contender's process until then, in all threads. */
  readonly bootCpuSeconds?: number;
  /** Of the contender's process then. */
  readonly bootPeakRssBytes?: number;
  /** The end of what it printed, when something went wrong. */
  readonly tail: string;
}

export interface Limits {
  readonly bootSeconds: number;
  readonly rowSeconds: number;
}

/** A native row is a process of its own, so each run is a process group, which a signal to this process does not reach. */
const running = new Set<ChildProcess>();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    for (const child of running) killAll(child);
    process.kill(process.pid, signal);
  });
}

function killAll(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has ended already.
  }
}

/** Ends once all of `rows` have an outcome, or at init's first line where there are none. */
export function run(contender: Contender, rows: readonly string[], limits: Limits): Promise<Session> {
  return new Promise((resolve) => {
    const outcomes = new Map<string, Outcome>();
    const started = performance.now();
    let begun: { name: string; at: number; cpuSeconds: number; busySeconds: number } | undefined;
    let boot: { bootSeconds: number; bootCpuSeconds: number; bootPeakRssBytes?: number } | undefined;
    let tail = "";
    let partial = "";
    let why = "";
    const child: ChildProcess = spawn(contender.command, contender.args, {
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    running.add(child);
    const end = (reason: string): void => {
      why ||= reason;
      killAll(child);
    };
    let timer = setTimeout(() => end("no boot in time"), limits.bootSeconds * 1000);
    const allow = (seconds: number, reason: string): void => {
      clearTimeout(timer);
      timer = setTimeout(() => end(reason), seconds * 1000);
    };
    const take = (line: string, at: number): void => {
      const [verb, name, ...rest] = line.split(" ");
      if (line.includes(firstLineOfInit) && !boot) {
        boot = { bootSeconds: (at - started) / 1000, bootCpuSeconds: processorTime(child), ...peakRss(child) };
        if (rows.length === 0) end("");
      } else if (verb === "@begin") {
        begun = { name, at, cpuSeconds: processorTime(child), busySeconds: busyTime() };
        allow(limits.rowSeconds, `not done after ${limits.rowSeconds} s`);
      } else if (verb === "@end" && begun) {
        const values = Object.fromEntries(rest.map((word) => word.split("=")));
        const seconds = Number(values.ns) / 1e9;
        const hostSeconds = (at - begun.at) / 1000;
        // A native row is a process that the host has forgotten by now: it says itself what it used.
        const cpuSeconds =
          contender.name === "native" ? Number(values.cpu) / 1e9 : processorTime(child) - begun.cpuSeconds;
        const otherSeconds = Math.max(0, busyTime() - begun.busySeconds - cpuSeconds);
        const { count, sum } = values;
        outcomes.set(name, { kind: "done", seconds, hostSeconds, cpuSeconds, otherSeconds, count: Number(count), sum });
        begun = undefined;
      } else if (verb === "@fail") {
        outcomes.set(name, { kind: "failed", why: rest.join(" ") });
        begun = undefined;
      } else if (verb === "@done") end("");
    };
    const receive = (bytes: Buffer): void => {
      const at = performance.now();
      const text = bytes.toString("latin1");
      tail = (tail + text).slice(-2000);
      const lines = (partial + text).split("\n");
      partial = lines.pop() ?? "";
      // Lines of the kernel may come between, and its log may share a line with ours.
      for (const line of lines) take(line.replace(/^.*?(?=@(begin|end|fail|done)\b)/, "").trimEnd(), at);
    };
    child.stdout?.on("data", receive);
    child.stderr?.on("data", receive);
    child.on("error", (error) => end(error.message));
    child.on("close", (status, signal) => {
      clearTimeout(timer);
      running.delete(child);
      why ||= signal ? `killed by ${signal}` : `ended with status ${status}`;
      if (begun) outcomes.set(begun.name, { kind: "failed", why });
      resolve({ rows: outcomes, ...boot, tail });
    });
  });
}

/** Boots to init's first line and ends the machine in peace, so that it keeps what it has learnt of its code for the boots to come. */
export function teach({ command, args }: Contender, { bootSeconds }: Limits): Promise<void> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "ignore"], detached: true });
    running.add(child);
    const timer = setTimeout(() => killAll(child), 2 * bootSeconds * 1000);
    let text = "";
    child.stdout?.on("data", (bytes: Buffer) => {
      if (text.includes(firstLineOfInit)) return;
      text += bytes.toString("latin1");
      if (text.includes(firstLineOfInit)) child.kill("SIGTERM");
    });
    child.on("error", () => resolve());
    child.on("close", () => {
      clearTimeout(timer);
      running.delete(child);
      resolve();
    });
  });
}

/** The same rows, begun again after one that took its machine with it. A row never reached has failed with its boot. */
export async function runAll(
  contender: (rows: readonly string[]) => Contender,
  rows: readonly string[],
  limits: Limits,
): Promise<Session> {
  const outcomes = new Map<string, Outcome>();
  let first: Session | undefined;
  for (;;) {
    const missing = rows.filter((name) => !outcomes.has(name));
    const session = await run(contender(missing), missing, limits);
    first ??= session;
    for (const [name, outcome] of session.rows) outcomes.set(name, outcome);
    if (session.rows.size > 0 && rows.some((name) => !outcomes.has(name))) continue;
    for (const name of rows)
      if (!outcomes.has(name)) outcomes.set(name, { kind: "failed", why: lastWords(session.tail) });
    return { ...first, rows: outcomes, tail: session.tail };
  }
}

const lastWords = (tail: string): string => `never reached: ${tail.trim().split("\n").slice(-2).join(" / ")}`;

/** The process's own and, on Linux, as it stands now. */
function peakRss(child: ChildProcess): { bootPeakRssBytes?: number } {
  try {
    const kib = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1];
    return kib === undefined ? {} : { bootPeakRssBytes: Number(kib) * 1024 };
  } catch {
    return {};
  }
}

/** Seconds of all its threads, to the hundredth. A waiting thread, unlike a waiting clock, does not count. */
function processorTime(child: ChildProcess): number {
  try {
    const stat = readFileSync(`/proc/${child.pid}/stat`, "utf8");
    // After the name in parentheses come fields 3 and on (proc(5)): 14 and 15 are utime and stime.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  } catch {
    return Number.NaN;
  }
}

/** Seconds that all processors of the host have been busy, whoever with, to the hundredth. */
function busyTime(): number {
  try {
    // "cpu", then user, nice, system, idle, iowait, irq, softirq, steal (proc(5)).
    const fields = readFileSync("/proc/stat", "utf8").split("\n", 1)[0].split(/ +/).slice(1, 9).map(Number);
    return fields.reduce((sum, ticks, n) => (n === 3 || n === 4 ? sum : sum + ticks), 0) / ticksPerSecond;
  } catch {
    return Number.NaN;
  }
}

/** USER_HZ: the same on every x86 and ARM Linux, whatever the kernel's own tick. */
const ticksPerSecond = 100;
