/** Accesses across pages, which lie far apart in the guest's memory: pieces of both, whether the TLB has the pages or they have to be walked. */
import { expect, test } from "vitest";
import { gpa } from "#address";
import { codeBase, type Guest, type GuestOptions, guest, hex, mapPages } from "../../../test/guest-code.ts";

const base = 0x400000;
const frames = [0x210000, 0x260000, 0x230000, 0x280000];
const ways: readonly (readonly [string, GuestOptions])[] = [
  ["interpreted", { hotThreshold: Number.POSITIVE_INFINITY }],
  ["compiled", { hotThreshold: 2 }],
];
/** From [rsi] to [rdi]. */
const copies = [
  [2, "66 8b 06  66 89 07"],
  [4, "8b 06  89 07"],
  [8, "48 8b 06  48 89 07"],
  [16, "0f 10 06  0f 11 07"],
] as const;
/** cmp, %al with a byte of a page, and addb $0, to it: the TLBs have the page for reading and for writing. */
const touchFirst = "3a 03  3a 83 00200000  80 03 00  80 83 00200000 00";
const touchSecond = "3a 83 00100000  3a 83 00300000  80 83 00100000 00  80 83 00300000 00";
const touches = [
  ["both", touchFirst + touchSecond],
  ["the first", touchFirst],
  ["the second", touchSecond],
  ["none", ""],
] as const;

/** What lies at an address of the guest, by its pages. */
function placeOf(address: number): number {
  return frames[(address - base) >> 12] + (address & 0xfff);
}
function bytesOf(g: Guest, address: number, count: number): number[] {
  const byte = new Uint8Array(1);
  return Array.from({ length: count }, (_, n) => {
    g.memory.read(gpa(placeOf(address + n)), byte);
    return byte[0];
  });
}

for (const [name, options] of ways) {
  for (const [which, touch] of touches) {
    test(`${name}: copies from across one page's end to across another's, with ${which} in the TLBs`, () => {
      for (const [size, copy] of copies) {
        for (let from = 1; from < size; from++) {
          const to = 1 + ((from * 7) % (size - 1 || 1));
          const loop = hex(`${touch} ${copy} ff c9`);
          const code = Uint8Array.of(...loop, 0x75, 256 - loop.length - 2, 0x0f, 0x0b); // jnz; ud2
          const g = guest(code, options);
          mapPages(g, ...frames.map((frame) => BigInt(frame | 3)));
          g.vcpu.setU64("CR4", 0x620n);
          g.engine.runtime.update_mode(g.vcpu.vp);
          frames.forEach((frame, n) => {
            const page = Uint8Array.from({ length: 4096 }, (_, at) => (at * 31 + n * 97 + (at >> 8)) & 255);
            g.memory.write(gpa(frame), page);
          });
          const [source, target] = [base + 0x1000 - from, base + 0x3000 - to];
          const wanted = bytesOf(g, source, size);
          const around = [bytesOf(g, target - 16, 16), bytesOf(g, target + size, 16)];
          g.vcpu.setRegister(1, 50n);
          g.vcpu.setRegister(3, BigInt(base));
          g.vcpu.setRegister(6, BigInt(source));
          g.vcpu.setRegister(7, BigInt(target));
          let exit = g.run(100n);
          for (let icount = 200n; exit.reason === "budget"; icount += 100n) exit = g.run(icount);
          expect(exit).toMatchObject({ reason: "fault", vector: 6 });
          expect(g.vcpu.u64("RIP")).toBe(BigInt(codeBase + code.length - 2));
          expect(bytesOf(g, target, size), `${size} bytes`).toEqual(wanted);
          expect([bytesOf(g, target - 16, 16), bytesOf(g, target + size, 16)]).toEqual(around);
        }
      }
    });
  }
}

test("a region whose structure lies across a page's end is made anew, once, with each access by itself", () => {
  const loop = hex(`
    48 8b 43 f0          ; mov -16(%rbx), %rax
    48 03 43 f8          ; add -8(%rbx), %rax
    48 03 03             ; add (%rbx), %rax
    48 89 43 08          ; mov %rax, 8(%rbx)
    48 ff 43 f0          ; incq -16(%rbx)
    ff c9                ; dec %ecx
  `);
  const made = (address: number): number[] => {
    const g = guest(Uint8Array.of(...loop, 0x75, 256 - loop.length - 2, 0x0f, 0x0b), {
      hotThreshold: 1000,
      exact: false,
    });
    mapPages(g, ...frames.map((frame) => BigInt(frame | 3)));
    g.vcpu.setRegister(1, 1_000_000n);
    g.vcpu.setRegister(3, BigInt(address));
    const regions: number[] = [];
    let exit = g.run(50_000n);
    for (let icount = 100_000n; exit.reason === "budget"; icount += 50_000n) {
      regions.push(g.engine.regions.stats.regions);
      exit = g.run(icount);
    }
    const sum = g.vcpu.register(0);
    expect([exit.reason, sum]).toEqual(["fault", 999_999n]);
    return [regions[Math.floor(regions.length / 2)], g.engine.regions.stats.regions];
  };
  const [whole, wholeLater] = made(base + 0x800);
  const [split, splitLater] = made(base + 0x1000);
  expect([wholeLater, split, splitLater]).toEqual([whole, whole + 1, whole + 1]);
});
