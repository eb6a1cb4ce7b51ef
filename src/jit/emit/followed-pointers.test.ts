import { expect, test } from "vitest";
import { gpa } from "#address";
import { passesWithout } from "#jit";
import { area, pointerHints, pointerTrustBytes, pointerTrusts } from "#vcpu";
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

/** After 200,000 steps along a ring of so many nodes: how many hints there are, and whether its loop was found to have no use for them. */
function hintsAfter(nodes: number): { hints: number; distrusted: boolean } {
  const g = guest(
    hex(`
      b9400d0300           ; mov    ecx,200000
      be00002000           ; mov    esi,0x200000
      488b1e               ; mov    rbx,[rsi]
      48034308             ; add    rax,[rbx+8]
      4889de               ; mov    rsi,rbx
      ffc9                 ; dec    ecx
      75f2                 ; jne    -14
      0f0b                 ; ud2
    `),
    { hotThreshold: 2 },
  );
  writeRing(g, nodes);
  let sum = 0n;
  for (let n = 1; n <= 200_000; n++) sum += BigInt((n % nodes) ** 2);
  expect(finish(g)).toBe(sum);
  const part = (from: number, bytes: number): Int32Array =>
    g.arena.i32.subarray((g.vcpu.vp + from) >> 2, (g.vcpu.vp + from + bytes) >> 2);
  return {
    hints: part(area.pointerHints, 4 * pointerHints).filter((hint) => hint !== 0).length,
    distrusted: part(area.pointerTrusts, pointerTrusts * pointerTrustBytes).some((word, n) => n % 2 === 0 && word < 0),
  };
}

test("a ring that has room in the table of hints is followed by hints, and one of twice its size is not", () => {
  expect(hintsAfter(4096)).toEqual({ hints: 4096, distrusted: false });
  expect(hintsAfter(8192)).toEqual({ hints: 4096, distrusted: true });
});
