/**
 * How much memory this host has, and has to give: what Linux says of the host, or of the control group that this process is in, whichever
 * is less. Elsewhere what Node knows.
 */
import { readFileSync } from "node:fs";
import { freemem, totalmem } from "node:os";

export interface HostFigures {
  readonly totalBytes: number;
  /** What new work can have without anybody being swapped out. */
  readonly availableBytes: number;
  /** The part of the last ten seconds in which somebody waited for memory (Linux: PSI, `some avg10`); 0 where nobody counts. */
  readonly stalled: number;
}

export function readHostFigures(): HostFigures {
  const host = ofHost();
  const group = ofGroup();
  const bounded = group !== undefined && group.availableBytes < host.availableBytes ? group : host;
  return { ...bounded, stalled: stalledOf("/proc/pressure/memory") };
}

type Memory = Omit<HostFigures, "stalled">;

/** proc(5), `/proc/meminfo`. */
function ofHost(): Memory {
  const text = textOf("/proc/meminfo") ?? "";
  const bytes = (name: string): number | undefined => {
    const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(text);
    return found ? Number(found[1]) * 1024 : undefined;
  };
  return { totalBytes: bytes("MemTotal") ?? totalmem(), availableBytes: bytes("MemAvailable") ?? freemem() };
}

/** cgroup v2 (Linux, admin-guide/cgroup-v2, "Memory Interface Files"); what its files hold in memory can go. */
function ofGroup(): Memory | undefined {
  const path = /^0::(\/.*)$/m.exec(textOf("/proc/self/cgroup") ?? "")?.[1];
  if (path === undefined) return undefined;
  const folder = `/sys/fs/cgroup${path === "/" ? "" : path}`;
  const most = Number(textOf(`${folder}/memory.max`));
  const used = Number(textOf(`${folder}/memory.current`));
  if (!(most > 0 && used >= 0)) return undefined;
  const files = Number(/^inactive_file (\d+)$/m.exec(textOf(`${folder}/memory.stat`) ?? "")?.[1] ?? 0);
  return { totalBytes: most, availableBytes: Math.max(0, most - used + files) };
}

/** Linux, accounting/psi: "some avg10=1.53 avg60=..." in per cent. */
function stalledOf(path: string): number {
  return Number(/^some avg10=([\d.]+)/m.exec(textOf(path) ?? "")?.[1] ?? 0) / 100;
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
