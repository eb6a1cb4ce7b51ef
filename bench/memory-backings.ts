/**
 * What it costs to evict a page of a guest, and to bring it back, on each memory backing: pages of a booted guest, as a snapshot has
 * them, in the address space of a machine that does nothing else.
 */
import { gpa } from "#address";
import { type MemoryBacking, newMemoryObject } from "#memory";
import { parseBacking } from "#memory/backing";
import { readSnapshot } from "#snapshot";
import { memoryServices } from "../src/host/guest-memory.ts";
import { openFile } from "../src/host/snapshot-file.ts";
import { ArenaKernels } from "../src/memory/page-kernels.ts";
import { guest } from "../test/guest-code.ts";
import { median } from "./table.ts";

const pageBytes = 4096;
const mostPages = 16_384;
/** As reclaim does it. */
const batch = 128;

const backings = (path: string): readonly string[] => [
  "plain",
  "compressed",
  "shared",
  "encrypted",
  `file:${path}`,
  `encrypted:file:${path}`,
];

export interface BackingFigures {
  /** For a table: backing, microseconds a page out, in, and how much of the pages' size keeping them takes. */
  readonly rows: readonly (readonly string[])[];
  /** In, where they are compressed. */
  readonly compressedUs: number;
}

export function measureBackings(snapshot: string, path: string): BackingFigures {
  let compressedUs = Number.NaN;
  const rows = backings(path).map((text) => {
    const { out, back, part } = measure(parseBacking(text) as MemoryBacking, snapshot);
    if (text === "compressed") compressedUs = median(back);
    const us = (times: readonly number[]): string => `${median(times).toFixed(1)} us`;
    return [text.replace(path, ""), us(out), us(back), `${(100 * part).toFixed(0)} %`];
  });
  return { rows, compressedUs };
}

function measure(backing: MemoryBacking, snapshot: string): { out: number[]; back: number[]; part: number } {
  const made = guest(Uint8Array.of(0xf4), { bytes: mostPages * pageBytes });
  const { memory } = made;
  const kernels = new ArenaKernels(made.vcpu.arena, made.engine.runtime);
  const count = fill(memory, kernels, snapshot);
  using object = newMemoryObject(backing, mostPages, kernels, memoryServices);
  memory.swap.map(memory.memslots[0], object, 0);
  const before = object.stats().hostBytes;
  const out: number[] = [];
  const back: number[] = [];
  for (let first = 0; first < count; first += batch) {
    const gfns = Array.from({ length: Math.min(batch, count - first) }, (_, n) => first + n);
    const begun = performance.now();
    memory.swap.evict(gfns);
    out.push(((performance.now() - begun) * 1000) / gfns.length);
  }
  const { hostBytes, fileBytes } = object.stats();
  const order = Array.from({ length: count }, (_, n) => (n * 7919) % count);
  for (const gfn of order) {
    const begun = performance.now();
    memory.swap.bringIn(gfn);
    back.push((performance.now() - begun) * 1000);
  }
  return { out, back, part: (hostBytes - before + fileBytes) / (count * pageBytes) };
}

/** Puts the first pages that are not zeros into the guest's memory; how many. */
function fill(memory: ReturnType<typeof guest>["memory"], kernels: ArenaKernels, path: string): number {
  using file = openFile(path);
  const object = readSnapshot(file).resume.memory(kernels);
  const bytes = new Uint8Array(pageBytes);
  let count = 0;
  for (let page = 0; page < object.pageCount && count < mostPages; page++) {
    if (!object.has(page)) continue;
    object.read(page, bytes);
    memory.write(gpa(count * pageBytes), bytes);
    count++;
  }
  return count;
}
