/** Code that is written over again and again: its blocks' memory is used again, and nobody runs what was there before. */
import { describe, expect, test } from "vitest";
import { gpa } from "#address";
import { arenaLayout, processFields } from "#memory";
import { random } from "../../../test/encodings.ts";
import { codeBase, type GuestOptions, guest, mapPages } from "../../../test/guest-code.ts";

/** Frames of functions, as they lie in memory, and where they are mapped, several times. */
const frames = [0x210000, 0x211000, 0x212000];
const mapped = 0x400000;
const functionsPerPage = 6;
const apart = 0x90;
const ud2 = [0x0f, 0x0b];
const le32 = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >> shift) & 0xff);

/** Adds its constants to EAX and goes on to another function, or returns. */
interface Fn {
  constants: number[];
  next: number | undefined;
}

/**
 * Rounds of programs whose functions are rewritten, as wholes or a constant at a time, and called at as many addresses as there are
 * `windows`; what the cache of blocks grew by.
 */
function play(
  rounds: number,
  seed: number,
  windows: number,
  options: GuestOptions,
): { lifted: number; grown: number }[] {
  const g = guest(new Uint8Array(), options);
  const page = (frame: number): bigint => BigInt(frame) | 3n;
  mapPages(g, ...frames.map(page), ...frames.map(page));
  const next = random(seed);
  const pick = (n: number): number => Math.floor(next() * n);
  const end = (): number => g.arena.i32[(arenaLayout.PROCESS + processFields.P_BLOCK_NEXT) >> 2];
  const placeOf = (fn: number): number =>
    Math.floor(fn / functionsPerPage) * 4096 + (fn % functionsPerPage) * apart + 0x20;
  const all: Fn[] = [];
  const count = frames.length * functionsPerPage;
  const write = (fn: number): void => {
    all[fn] = {
      constants: Array.from({ length: 1 + pick(12) }, () => pick(2 ** 31)),
      next: fn + 1 < count && next() < 0.6 ? fn + 1 + pick(count - fn - 1) : undefined,
    };
    const { constants, next: then } = all[fn];
    const code = constants.flatMap((each) => [0x05, ...le32(each)]); // add $each,%eax
    if (then === undefined) code.push(0xc3);
    else code.push(0xe9, ...le32(placeOf(then) - placeOf(fn) - code.length - 5)); // jmp
    g.memory.write(gpa(frames[0] + placeOf(fn)), Uint8Array.from(code));
  };
  for (let fn = 0; fn < count; fn++) write(fn);

  const grown: { lifted: number; grown: number }[] = [];
  for (let round = 0; round < rounds; round++) {
    if (next() < 0.4) for (let fn = pick(count), n = 0; n < functionsPerPage; n++) write((fn + n) % count);
    const driver = [0x31, 0xc0]; // xor %eax,%eax
    let sum = 0;
    for (let n = 0; n < 12; n++) {
      const window = mapped + pick(windows) * frames.length * 4096;
      const fn = pick(count);
      // Now and then so many that the page is taken for one that gets other contents.
      for (let patches = next() < 0.2 ? 40 : pick(3); patches > 0; patches--) {
        const which = next() < 0.5 ? fn : pick(count);
        const { constants } = all[which];
        const constant = pick(constants.length);
        constants[constant] = pick(2 ** 31);
        // movl $constant,address
        driver.push(
          0xc7,
          0x04,
          0x25,
          ...le32(window + placeOf(which) + 5 * constant + 1),
          ...le32(constants[constant]),
        );
      }
      for (let times = 1 + pick(4); times > 0; times--) {
        driver.push(0xe8, ...le32(window + placeOf(fn) - (codeBase + driver.length + 5))); // call
        for (let each: number | undefined = fn; each !== undefined; each = all[each].next)
          sum = all[each].constants.reduce((a, b) => (a + b) | 0, sum);
      }
    }
    g.memory.write(gpa(codeBase), Uint8Array.from([...driver, ...ud2]));
    g.vcpu.setU64("RIP", BigInt(codeBase));
    const before = { lifted: g.engine.stats.lifted, end: end() };
    let exit = g.run(g.vcpu.u64("ICOUNT") + 100n);
    // In slices: regions are compiled between them.
    while (exit.reason === "budget") exit = g.run(g.vcpu.u64("ICOUNT") + 100n);
    expect(exit).toMatchObject({ reason: "fault", vector: 6 });
    expect(Number(BigInt.asIntN(32, g.vcpu.register(0))), `round ${round}`).toBe(sum);
    grown.push({ lifted: g.engine.stats.lifted - before.lifted, grown: end() - before.end });
  }
  return grown;
}

describe("code that is written over again and again", () => {
  test.each([
    ["interpreted", { hotThreshold: Number.POSITIVE_INFINITY }],
    ["compiled soon", { hotThreshold: 3 }],
    ["compiled after a while", { hotThreshold: 40 }],
    ["compiled at once", { hotThreshold: 0 }],
  ] as const)("runs as it is now, %s", (_, options) => {
    for (const windows of [1, 2]) play(options.hotThreshold === 0 ? 8 : 120, 5, windows, options);
  });

  test("has its blocks where those before were", () => {
    const grown = play(120, 6, 1, {}).slice(60);
    const lifted = grown.reduce((sum, each) => sum + each.lifted, 0);
    // A block takes some 240.
    const bytes = grown.reduce((sum, each) => sum + each.grown, 0);
    expect(lifted).toBeGreaterThan(500);
    expect(bytes / lifted).toBeLessThan(80);
  });
});
