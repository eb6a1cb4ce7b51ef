import { describe, expect, test } from "vitest";
import { xxh64Low } from "#base";
import { BootError } from "./boot-error.ts";
import { crc32 } from "./crc32.ts";
import { parseElf, withoutZeros } from "./elf.ts";
import { bzImage, tinyImages, tinyVmlinux } from "./fuzz-cases.ts";
import { unpackKernel } from "./kernel-image.ts";
import { undoX86 } from "./xz.ts";

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));
const images = tinyImages();

/** The message a kernel file is refused with. */
function refusal(file: Uint8Array, limitBytes?: number): string {
  try {
    parseElf(unpackKernel(file, limitBytes === undefined ? {} : { limitBytes }).vmlinux);
  } catch (error) {
    if (error instanceof BootError) return error.message;
    throw error;
  }
  return "none";
}

function patched(file: Uint8Array, at: number, ...bytes: number[]): Uint8Array {
  const copy = file.slice();
  copy.set(bytes, at);
  return copy;
}

describe("a kernel image", () => {
  for (const [name, image] of Object.entries(images)) {
    test(`of kind ${name} unpacks to the vmlinux that went in`, () => {
      expect(unpackKernel(image).vmlinux).toEqual(tinyVmlinux());
    });
  }

  test("keeps its setup header", () => {
    expect(unpackKernel(images.xz).setupHeader).toEqual(images.xz.slice(0x1f1, 0x26c));
  });

  test("is unpacked by the host's decoder where there is one", () => {
    const zstd = (_: Uint8Array, output: Uint8Array): number => {
      output.set(tinyVmlinux());
      return output.length;
    };
    expect(unpackKernel(bzImage(Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd), 3000), { decoders: { zstd } }).vmlinux).toEqual(
      tinyVmlinux(),
    );
  });

  const refused: [string, Uint8Array, RegExp][] = [
    ["an empty file", new Uint8Array(0), /is empty$/],
    ["text", ascii("hello\n".repeat(500)), /^the file is no Linux kernel: neither a bzImage nor an ELF vmlinux$/],
    ["an initrd", ascii(`070701${"0".repeat(900)}`), /cpio archive: an initrd\?/],
    ["a bzImage cut in its payload", images.zstd.slice(0, 2000), /is truncated: it needs 3 KiB, the file has 2 KiB/],
    ["a vmlinux cut in a segment", images.elf.slice(0, 2900), /is truncated/],
    ["a bzip2 payload", bzImage(ascii("BZh91AY&SY"), 3000), /compressed with bzip2, which is not supported/],
    ["an lzma payload", bzImage(Uint8Array.of(0x5d, 0, 0, 0, 4), 3000), /compressed with lzma, which is not supported/],
    ["an lzo payload", bzImage(Uint8Array.of(0x89, 0x4c, 0x5a, 0x4f, 0), 3000), /compressed with lzo, which is not/],
    ["an unknown payload", bzImage(ascii("something"), 3000), /compressed in an unknown way/],
    ["an old protocol", patched(images.gzip, 0x206, 0x08, 0x02), /boot protocol 2\.8, at least 2\.12 is needed/],
    ["a 32-bit bzImage", patched(images.gzip, 0x236, 0), /kernel is 32-bit/],
    ["a 32-bit ELF", patched(images.elf, 4, 1), /kernel is 32-bit/],
    ["an ELF for ARM", patched(images.elf, 18, 183), /another processor \(machine 183\)/],
    ["a flipped bit in xz", patched(images.xz, 1700, images.xz[1700] ^ 1), /XZ data is corrupt/],
    ["a flipped bit in gzip", patched(images.gzip, 1700, images.gzip[1700] ^ 1), /gzip data is corrupt/],
    ["a flipped bit in zstd", patched(images.zstd, 1700, images.zstd[1700] ^ 1), /zstd data is corrupt/],
    ["a wrong size", patched(images.lz4, images.lz4.length - 4, 0xb9), /3000 of 3001 bytes came out/],
  ];
  for (const [name, file, message] of refused) {
    test(`refuses ${name} in one clear line`, () => expect(refusal(file)).toMatch(message));
  }

  test("that unpacks to more than it may is refused before anything is allocated", () => {
    const bomb = patched(images.xz, images.xz.length - 4, 0, 0, 0, 0xf0);
    expect(refusal(bomb, 64 << 20)).toBe("the kernel needs at least 3840 MiB of memory unpacked, and may take 64 MiB");
  });
});

describe("an ELF kernel", () => {
  test("has its segments at physical addresses, its entry and its PVH note", () => {
    expect(parseElf(tinyVmlinux())).toEqual({
      entry: 0x1000000,
      segments: [
        { gpa: 0x1000000, fileOffset: 512, fileBytes: 2048, memoryBytes: 2048 },
        { gpa: 0x1001000, fileOffset: 2560, fileBytes: 400, memoryBytes: 9000 },
      ],
      end: 0x1001000 + 9000,
      pvhEntry: 0x1000100,
    });
  });

  test("without its long rows of zeros puts the same bytes into memory", () => {
    const page = 4096;
    const tiny = tinyVmlinux();
    /** Pages of the segment that are not zeros, and how many there are in all. */
    const cases = [
      { pages: [0, 1, 2], count: 300 },
      { pages: [0, 70, 71, 200, 299], count: 300 },
      { pages: [0, 64, 129, 299], count: 300 },
      { pages: [0], count: 1 },
    ];
    for (const { pages, count } of cases) {
      const bytes = count * page - 100;
      const file = new Uint8Array(page + bytes);
      file.set(tiny.subarray(0, 512));
      for (const n of pages) file[page + n * page + 7] = n + 1;
      const view = new DataView(file.buffer);
      const header = Number(view.getBigUint64(32, true));
      // One segment, which has more in memory.
      view.setUint16(56, 1, true);
      view.setBigUint64(header + 8, BigInt(page), true);
      view.setBigUint64(header + 32, BigInt(bytes), true);
      view.setBigUint64(header + 40, BigInt(bytes + 5000), true);
      const smaller = withoutZeros(file);
      const [before, after] = [file, smaller].map((each) => loaded(each));
      expect(after).toEqual(before);
      expect(parseElf(smaller).entry).toBe(parseElf(file).entry);
      expect(smaller.length).toBeLessThan(count > 1 ? file.length / 2 : 3 * page);
    }
  });
});

/** What lies in memory from the first segment's beginning on, where that was all ones. */
function loaded(file: Uint8Array): Uint8Array {
  const { segments, end } = parseElf(file);
  const start = segments[0].gpa;
  const memory = new Uint8Array(end - start).fill(0xff);
  for (const { gpa, fileOffset, fileBytes, memoryBytes } of segments) {
    memory.fill(0, gpa - start, gpa - start + memoryBytes);
    memory.set(file.subarray(fileOffset, fileOffset + fileBytes), gpa - start);
  }
  return memory;
}

describe("the checksums", () => {
  test("CRC-32 of the nine digits is its published check value", () => {
    expect(crc32(ascii("123456789"))).toBe(0xcbf43926);
  });
  test("XXH64 agrees with its published values in the low word", () => {
    const texts = ["", "a", "abc", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJK"];
    expect(texts.map((text) => xxh64Low(ascii(text)))).toEqual([0x51d8e999, 0xa98c6e5b, 0xad770999, 0x6623a760]);
  });
});

describe("the x86 filter", () => {
  test("turns an absolute call target back into a relative one", () => {
    const code = Uint8Array.of(0x90, 0xe8, 0x06, 0x01, 0, 0, 0x90, 0x90, 0x90, 0x90);
    undoX86(code, 0, code.length);
    expect(code).toEqual(Uint8Array.of(0x90, 0xe8, 0x00, 0x01, 0, 0, 0x90, 0x90, 0x90, 0x90));
  });
  test("leaves an operand alone whose highest byte is neither 00 nor FF", () => {
    const code = Uint8Array.of(0xe8, 1, 2, 3, 4, 0x90, 0x90, 0x90, 0x90);
    undoX86(code, 0, code.length);
    expect(code).toEqual(Uint8Array.of(0xe8, 1, 2, 3, 4, 0x90, 0x90, 0x90, 0x90));
  });
});
