import { expect, test } from "vitest";
import { gpa } from "#address";
import { passesWithout } from "#jit";
import { area, farPointerHints, pointerHintGroup, pointerHints, pointerTrustBytes, pointerTrusts } from "#vcpu";
import { dataBase, guest, hex, mapPages } from "../../../test/guest-code.ts";

const ways = [
  ["interpreted", { hotThreshold: Number.POSITIVE_INFINITY }],
  ["compiled", { hotThreshold: 2 }],
  ["compiled without followed pointers", { hotThreshold: 2, passes: passesWithout("followed-pointers") }],
] as const;

/** Runs in slices, so that loops are compiled while they run. */
function finish(g: ReturnType<typeof guest>): bigint {
  let exit = g.run(100n);
  for (let icount = 200n; exit.reason === "budget"; icount += 1000n) exit = g.run(icount);
  expect(exit).toMatchObject({ reason: "fault", vector: 6 });
  return g.vcpu.register(0);
}
const words = (...values: bigint[]): Uint8Array => new Uint8Array(new BigUint64Array(values).buffer);

/** A ring of nodes of 64 bytes, the n-th of which is the 37 n-th in memory. */
function writeRing(g: ReturnType<typeof guest>, nodes: number): void {
  const place = (n: number): number => dataBase + 64 * ((n * 37) % nodes);
  for (let n = 0; n < nodes; n++) g.memory.write(gpa(place(n)), words(BigInt(place(n + 1)), BigInt(n * n)));
}

for (const [name, options] of ways) {
  test(`${name}: a ring is followed where it leads now, however often it is changed`, () => {
    const g = guest(
      hex(`
        b9b80b0000           ; mov    ecx,3000
        be00002000           ; mov    esi,0x200000
        ba40000000           ; mov    edx,64
        48034608             ; add    rax,[rsi+8]
        488b36               ; mov    rsi,[rsi]
        ffca                 ; dec    edx
        75f5                 ; jne    -11
        4c8b042500002000     ; mov    r8,[0x200000]
        4c8b0c2540002000     ; mov    r9,[0x200040]
        4c89042540002000     ; mov    [0x200040],r8
        4c890c2500002000     ; mov    [0x200000],r9
        ffc9                 ; dec    ecx
        75c7                 ; jne    -57
        0f0b                 ; ud2
      `),
      options,
    );
    writeRing(g, 64);
    // The same, here.
    const next = Array.from({ length: 64 }, (_, at) => (at + 37) % 64);
    const values: number[] = [];
    for (let n = 0; n < 64; n++) values[(n * 37) % 64] = n * n;
    let sum = 0;
    for (let turn = 0; turn < 3000; turn++) {
      for (let at = 0, n = 0; n < 64; n++, at = next[at] as number) sum += values[at] as number;
      [next[0], next[1]] = [next[1] as number, next[0] as number];
    }
    expect(finish(g)).toBe(BigInt(sum));
  });

  test(`${name}: where a pointer leads is asked of the mapping as it is now`, () => {
    const g = guest(
      hex(`
        b9b80b0000           ; mov    ecx,3000
        be00004000           ; mov    esi,0x400000
        ba04000000           ; mov    edx,4
        488d0440             ; lea    rax,[rax+rax*2]
        48034608             ; add    rax,[rsi+8]
        488b36               ; mov    rsi,[rsi]
        ffca                 ; dec    edx
        75f1                 ; jne    -15
        4c8b042500403000     ; mov    r8,[0x304000]
        4c8b0c2508403000     ; mov    r9,[0x304008]
        4c89042508403000     ; mov    [0x304008],r8
        4c890c2500403000     ; mov    [0x304000],r9
        0f013c2500004000     ; invlpg [0x400000]
        0f013c2500104000     ; invlpg [0x401000]
        ffc9                 ; dec    ecx
        75b3                 ; jne    -77
        0f0b                 ; ud2
      `),
      options,
    );
    mapPages(g, 0x200003n, 0x201003n);
    const nodes = [
      { next: 1, value: 5n },
      { next: 0, value: 7n },
    ] as const;
    nodes.forEach(({ next, value }, n) => {
      g.memory.write(gpa(dataBase + 4096 * n), words(0x400000n + 4096n * BigInt(next), value));
    });
    let sum = 0n;
    for (let turn = 0; turn < 3000; turn++) {
      for (let at = 0, n = 0; n < 4; n++) {
        const { next, value } = nodes[(at + turn) % 2] as (typeof nodes)[number];
        sum = BigInt.asUintN(64, 3n * sum + value);
        at = next;
      }
    }
    expect(finish(g)).toBe(sum);
  });
}

/** What a vCPU has learnt: how many hints near and far, and whether some loop was found to have no use for them. */
function learnt(g: ReturnType<typeof guest>): { near: number; far: number; distrusted: boolean } {
  const part = (from: number, words: number): Int32Array =>
    g.arena.i32.subarray((g.vcpu.vp + from) >> 2, ((g.vcpu.vp + from) >> 2) + words);
  const known = (hints: Int32Array): number => hints.filter((hint) => hint !== 0).length;
  return {
    near: known(part(area.pointerHints, pointerHints)),
    far: known(part(area.pointerHints + 4 * pointerHints, farPointerHints)),
    distrusted: part(area.pointerTrusts, (pointerTrusts * pointerTrustBytes) / 4).some(
      (word, n) => n % (pointerTrustBytes / 4) === 0 && word < 0,
    ),
  };
}

/** A guest that adds the values of so many nodes from `start` on. */
const walker = (start: string, steps: string): ReturnType<typeof guest> =>
  guest(
    hex(`
      b9${steps}           ; mov    ecx,steps
      be${start}           ; mov    esi,start
      488b1e               ; mov    rbx,[rsi]
      48034308             ; add    rax,[rbx+8]
      4889de               ; mov    rsi,rbx
      ffc9                 ; dec    ecx
      75f2                 ; jne    -14
      0f0b                 ; ud2
    `),
    { hotThreshold: 2 },
  );
const steps = 200_000;
const stepBytes = "400d0300";

/** After so many steps along a ring of so many nodes. */
function learntOfRing(nodes: number): ReturnType<typeof learnt> {
  const g = walker("00002000", stepBytes);
  writeRing(g, nodes);
  let sum = 0n;
  for (let n = 1; n <= steps; n++) sum += BigInt((n % nodes) ** 2);
  expect(finish(g)).toBe(sum);
  return learnt(g);
}

/** All but those that are nobody's. */
const somebodys = (hints: number): number => hints - hints / pointerHintGroup;

test("a ring that has room in the near table of hints is followed by those, a longer one by far ones", () => {
  expect(learntOfRing(4096)).toEqual({ near: somebodys(pointerHints), far: 0, distrusted: false });
  const { far, distrusted } = learntOfRing(8192);
  expect({ far: far > 7000 && far < 8192, distrusted }).toEqual({ far: true, distrusted: false });
});

test("a ring of which all pages are in frames far from each other has as many hints", () => {
  const g = walker("00004000", stepBytes);
  const frame = (page: number): number => 0x80_0000 + 0x2_0000 * ((page * 5) % 64);
  // The arena's frames lie as they were touched.
  for (let at = 0x80_0000; at < 0x100_0000; at += 4096) g.memory.write(gpa(at), words(1n));
  mapPages(g, ...Array.from({ length: 64 }, (_, page) => BigInt(frame(page)) + 3n));
  const place = (n: number): number => 64 * ((n * 37) % 4096);
  for (let n = 0; n < 4096; n++) {
    const at = frame(place(n) >> 12) + (place(n) & 4095);
    g.memory.write(gpa(at), words(0x40_0000n + BigInt(place(n + 1)), BigInt(n * n)));
  }
  let sum = 0n;
  for (let n = 1; n <= steps; n++) sum += BigInt((n % 4096) ** 2);
  expect(finish(g)).toBe(sum);
  expect(learnt(g)).toEqual({ near: somebodys(pointerHints), far: 0, distrusted: false });
});

test("pointers that lie in one node have hints of their own", () => {
  const g = guest(
    hex(`
      b9400d0300           ; mov    ecx,200000
      be00002000           ; mov    esi,0x200000
      480306               ; add    rax,[rsi]
      488b7608             ; mov    rsi,[rsi+8]
      480306               ; add    rax,[rsi]
      488b7610             ; mov    rsi,[rsi+16]
      ffc9                 ; dec    ecx
      75ee                 ; jne    -18
      0f0b                 ; ud2
    `),
    { hotThreshold: 2 },
  );
  // From node n by one pointer to 3 n + 1, by the other to 5 n + 2; each is come to by both.
  const nodes = 256;
  const place = (n: number): bigint => BigInt(dataBase + 64 * (n % nodes));
  for (let n = 0; n < nodes; n++)
    g.memory.write(gpa(Number(place(n))), words(BigInt(n * n), place(3 * n + 1), place(5 * n + 2)));
  let sum = 0;
  const seen = new Set<string>();
  for (let turn = 0, at = 0; turn < steps; turn++) {
    const middle = (3 * at + 1) % nodes;
    sum += at * at + middle * middle;
    seen.add(`${at} 8`).add(`${middle} 16`);
    at = (5 * middle + 2) % nodes;
  }
  expect(finish(g)).toBe(BigInt(sum));
  expect(learnt(g)).toEqual({ near: seen.size, far: 0, distrusted: false });
});

test("a loop in which pointers lead elsewhere each time is not trusted, and is trusted again some time later", () => {
  const g = guest(
    hex(`
      be00002000           ; mov    esi,0x200000
      b9e8030000           ; mov    ecx,1000
      4d01da               ; add    r10,r11
      4d01d0               ; add    r8,r10
      4d89c1               ; mov    r9,r8
      4181e1c0ff0300       ; and    r9d,0x3ffc0
      4981c100002000       ; add    r9,0x200000
      4c890e               ; mov    [rsi],r9
      488b36               ; mov    rsi,[rsi]
      48034608             ; add    rax,[rsi+8]
      ffc9                 ; dec    ecx
      75db                 ; jne    -37
      ebd4                 ; jmp    -44
    `),
    { hotThreshold: 2, exact: false },
  );
  // A slice ends up to a block before its end.
  const runFor = (instructions: bigint): void => {
    const end = g.vcpu.u64("ICOUNT") + instructions;
    while (g.vcpu.u64("ICOUNT") < end - 100n) expect(g.run(end).reason).toBe("budget");
  };
  const distrusted = (): boolean => learnt(g).distrusted;
  // From a node to itself, until the loop's region is what it will be.
  for (let n = 0; n < 100; n++) runFor(10_000n);
  expect(distrusted()).toBe(false);
  g.vcpu.setRegister(11, 64n);
  runFor(4_000_000n);
  expect(distrusted()).toBe(true);
  g.vcpu.setRegister(10, 0n);
  g.vcpu.setRegister(11, 0n);
  runFor(1n << 29n);
  expect(distrusted()).toBe(true);
  runFor(1n << 29n);
  expect(distrusted()).toBe(false);
});
