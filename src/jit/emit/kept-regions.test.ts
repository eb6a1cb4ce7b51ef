import { expect, test } from "vitest";
import { blockHeader } from "#memory";
import { codeBase, type Guest, guest, hex } from "../../../test/guest-code.ts";
import type { Region } from "../hot/region.ts";
import { passesWithout } from "../passes.ts";
import { type KeptGround, KeptRegions, recordOf } from "./kept-regions.ts";
import { emitRegions, type RegionCode } from "./region.ts";

/** A loop that calls a function, which returns by an indirect jump; `add` is in the function. */
const program = (add: string): Uint8Array =>
  hex(`
    b9 e8030000       ; mov ecx, 1000
    e8 06000000       ; call the function
    ff c9             ; dec ecx
    75 f7             ; jnz to the call
    eb fe             ; jmp to itself
    ${add}            ; add or subtract
    c3                ; ret
  `);
const adding = program("01 c8");
const seedAt = codeBase + 5;
const options = { exact: false, passes: passesWithout() };

/** A guest whose loop has run, `before` it more code than the loop, so that blocks lie elsewhere. */
function ran(code: Uint8Array, before = 0): Guest {
  const g = guest(code);
  for (let n = 0; n < before; n++)
    g.memory.write((codeBase + 0x1000 + 16 * n) as never, Uint8Array.of(0x90, 0xeb, 0xfe));
  for (let n = 0; n < before; n++) {
    g.vcpu.setU64("RIP", BigInt(codeBase + 0x1000 + 16 * n));
    g.run(g.vcpu.u64("ICOUNT") + 2n);
  }
  g.vcpu.setU64("RIP", BigInt(codeBase));
  g.run(g.vcpu.u64("ICOUNT") + 500n);
  return g;
}

function seedOf(g: Guest): number {
  g.vcpu.setU64("RIP", BigInt(seedAt));
  return g.engine.runtime.lookup(g.vcpu.vp) >>> 0;
}

function grown(g: Guest): Region {
  return g.engine.regions.grow(g.vcpu, seedOf(g), BigInt(seedAt), 0, "small");
}

/** A record in the arena of `g`, and what knows it. */
function keptIn(g: Guest, ...records: readonly Int32Array[]): KeptRegions {
  const length = records.reduce((sum, record) => sum + record.length, 0);
  const at = g.arena.lend(4 * length) >> 2;
  let end = at;
  for (const record of records) {
    g.arena.i32.set(record, end);
    end += record.length;
  }
  const kept = new KeptRegions(() => g.arena.i32);
  kept.take(at, end);
  return kept;
}

function ground(g: Guest, changes: Partial<KeptGround> = {}): KeptGround {
  const frame = (g.arena.i32[(seedOf(g) + blockHeader.B_HPA) >> 2] & ~0xfff) >>> 0;
  const all = new Map(grownBlocks(g));
  return {
    frameOf: (page) => (page === 0 ? frame : 0),
    blockAt: (hpa) => all.get(hpa) ?? 0,
    vp: 0,
    exact: false,
    size: "small",
    ...changes,
  };
}

function grownBlocks(g: Guest): [number, number][] {
  const words = g.arena.i32;
  return grown(g).blocks.map(({ block }) => [words[(block + blockHeader.B_HPA) >> 2] >>> 0, block]);
}

function record(g: Guest, exact = false): Int32Array {
  const code: RegionCode = { region: grown(g), record: 0, vp: 0 };
  let kept: Int32Array | undefined;
  emitRegions(g.arena.i32, [code], { ...options, exact }, g.arena.i32, (each, object) => {
    kept = recordOf(g.arena.i32, each, object, exact);
  });
  return kept as Int32Array;
}

test("a region that was kept is the same module where its blocks lie elsewhere, without being emitted", () => {
  const kept = record(ran(adding));
  const g = ran(adding, 5);
  const region = keptIn(g, kept).regionOf(seedOf(g), ground(g));
  if (region === undefined) throw new Error("nothing was kept");
  const fresh = grown(g);
  expect(fresh.blocks.length).toBe(3);
  expect(region).toMatchObject(fresh);
  const words = g.arena.i32;
  const never = (): never => {
    throw new Error("it was emitted");
  };
  const here = emitRegions(words, [{ region, record: 0, vp: 0 }], options, words, never);
  expect(here).toEqual(emitRegions(words, [{ region: fresh, record: 0, vp: 0 }], options));
});

test("links and the places where jumps went to say nothing of a region", () => {
  const g = ran(adding);
  const kept = record(g);
  // All that was noted is gone: links are made again as code runs.
  const again = ran(adding);
  again.run(again.vcpu.u64("ICOUNT") + 2000n);
  expect(keptIn(again, kept).regionOf(seedOf(again), ground(again))).toBeDefined();
});

test("other code, another vCPU, an exact budget, another size, a page or a block that is not there: nothing", () => {
  const kept = record(ran(adding));
  const other = ran(program("29 c8"));
  expect(keptIn(other, kept).regionOf(seedOf(other), ground(other))).toBe(undefined);
  const g = ran(adding);
  const known = keptIn(g, kept);
  const changes: Partial<KeptGround>[] = [
    { vp: 4096 },
    { exact: true },
    { size: "large" },
    { frameOf: () => 0 },
    { blockAt: (hpa) => (hpa === grownBlocks(g)[0][0] ? 0 : (new Map(grownBlocks(g)).get(hpa) ?? 0)) },
  ];
  for (const change of changes) expect(known.regionOf(seedOf(g), ground(g, change))).toBe(undefined);
  expect(known.regionOf(seedOf(g), ground(g))).toBeDefined();
});

test("what was added and what served goes first, each once, as far as there is room", () => {
  const g = ran(adding);
  const [served, unused, added] = [record(g), record(ran(program("29 c8"))), record(g, true)];
  const kept = keptIn(g, unused, served);
  kept.regionOf(seedOf(g), ground(g));
  kept.add(added);
  kept.add(served);
  const joined = (...records: Int32Array[]): Int32Array => Int32Array.from(records.flatMap((each) => [...each]));
  const all = joined(added, served, unused);
  expect(kept.pack(added, all.length)).toEqual(all);
  expect(kept.pack(new Int32Array(0), all.length - 1)).toEqual(joined(added, served));
  expect(kept.pack(new Int32Array(0), 0)).toEqual(new Int32Array(0));
});
