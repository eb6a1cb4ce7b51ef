import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { pageKernels } from "../../test/page-kernels.ts";

const kernels = pageKernels();
const page = (byteAt: (n: number) => number): Uint8Array => Uint8Array.from({ length: 4096 }, (_, n) => byteAt(n));

/** The same noise each time. */
function noise(n: number): number {
  const mixed = Math.imul(n ^ (n >>> 15) ^ 0x6d2b79f5, 0x85ebca6b + 2 * n);
  return (Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35) >>> 16) & 255;
}

const words = "the frame a page of memory is at an address that the guest does not know ".split(" ");

const pages: Readonly<Record<string, Uint8Array>> = {
  zeros: page(() => 0),
  "a byte over and over": page(() => 0x41),
  "three bytes over and over": page((n) => n % 3),
  counting: page((n) => n & 255),
  "pointers into the kernel": page(
    (n) => [0x40 + ((n >> 3) % 17) * 8, (n >> 7) & 255, 0x90, 0x81, 255, 255, 255, 255][n % 8],
  ),
  text: new TextEncoder()
    .encode(Array.from({ length: 2000 }, (_, n) => words[noise(n) % words.length]).join(" "))
    .slice(0, 4096),
  "zeros with a byte at the end": page((n) => (n === 4095 ? 1 : 0)),
  "half noise": page((n) => (n < 2048 ? noise(n) : 7)),
  "noise, then the same again": page((n) => noise(n % 2048)),
};

const lz4 =
  (...args: string[]) =>
  (input: Uint8Array) =>
    spawnSync("lz4", args, { input });
const hasLz4 = spawnSync("lz4", ["--version"]).status === 0;

describe("LZ4 blocks", () => {
  test.each(Object.entries(pages))("of %s give it back, and are smaller", (_, bytes) => {
    const block = kernels.compress(bytes, 4095)?.slice();
    const back = new Uint8Array(4096).fill(0xee);
    expect(kernels.decompress(block as Uint8Array, back)).toBe(true);
    expect(back).toEqual(bytes);
    expect((block as Uint8Array).length).toBeLessThan(4096);
  });

  test("of noise are larger than a page, and are none", () => {
    expect(kernels.compress(page(noise), 4096)).toBeUndefined();
  });

  test("are no larger than the limit", () => {
    const size = kernels.compress(pages.text, 4096)?.length ?? 0;
    expect(kernels.compress(pages.text, size)?.length).toBe(size);
    for (let limit = 0; limit < size; limit += 13) expect(kernels.compress(pages.text, limit)).toBeUndefined();
  });

  test("cut short or changed say something else, or nothing, and write nothing but the page", () => {
    const block = kernels.compress(pages.text, 4096)?.slice() as Uint8Array;
    const around = new Uint8Array(3 * 4096).fill(0x77);
    const target = around.subarray(4096, 8192);
    for (let length = 0; length < block.length; length++)
      expect(kernels.decompress(block.subarray(0, length), target)).toBe(false);
    for (let at = 0; at < block.length; at++) {
      const damaged = block.slice();
      damaged[at] ^= 1 << (at & 7);
      kernels.decompress(damaged, target);
    }
    expect(around.every((byte, n) => (n >= 4096 && n < 8192) || byte === 0x77)).toBe(true);
  });

  test.runIf(hasLz4)("are those of the format: lz4 reads ours, and we read its (the program lz4 is there)", () => {
    for (const bytes of Object.values(pages)) {
      const block = kernels.compress(bytes, 4095)?.slice() as Uint8Array;
      // A frame of the old kind: magic, size of the block, block.
      const frame = Buffer.alloc(8 + block.length);
      frame.writeUInt32LE(0x184c2102, 0);
      frame.writeUInt32LE(block.length, 4);
      frame.set(block, 8);
      expect(new Uint8Array(lz4("-dc")(frame).stdout)).toEqual(bytes);
      const theirs = lz4("-l", "-9", "-c")(bytes).stdout;
      const back = new Uint8Array(4096);
      expect(kernels.decompress(theirs.subarray(8, 8 + theirs.readUInt32LE(4)), back)).toBe(true);
      expect(back).toEqual(bytes);
    }
  });
});
