import { describe, expect, test } from "vitest";
import { gpa } from "#address";
import type { BootFile } from "./boot-bytes.ts";
import { BootError } from "./boot-error.ts";
import { flatMemory, tinyImages, tinyVmlinux } from "./fuzz-cases.ts";
import { bootLayout, e820Map, type LinuxBootOptions, prepareLinuxBoot } from "./linux-boot.ts";

const MiB = 1 << 20;
const images = tinyImages();

function boot(changes: Partial<LinuxBootOptions> = {}, ramBytes = 20 * MiB) {
  const memory = flatMemory(ramBytes);
  const state = prepareLinuxBoot({
    memory,
    kernel: images.zstd,
    initrd: new Uint8Array(5000).fill(0x5a),
    commandLine: "console=ttyS0",
    ramBytes,
    acpiRsdp: gpa(0xe0000),
    rngSeed: new Uint8Array(32).fill(7),
    ...changes,
  });
  const view = new DataView(memory.bytes.buffer);
  return { state, memory, view, params: (at: number) => view.getUint32(state.rsi + at, true) };
}

function refusal(changes: Partial<LinuxBootOptions>, ramBytes?: number): string {
  try {
    boot(changes, ramBytes);
  } catch (error) {
    if (error instanceof BootError) return error.message;
    throw error;
  }
  return "none";
}

/** Megabytes, which a matcher compares one by one. */
const same = (a: { bytes: Uint8Array }, b: { bytes: Uint8Array }): boolean =>
  a.bytes.every((byte, n) => byte === b.bytes[n]);

const fileOf = (bytes: Uint8Array): BootFile => ({
  sizeBytes: bytes.length,
  read: (offset, target) => {
    const piece = bytes.subarray(offset, offset + target.length);
    target.set(piece);
    return piece.length;
  },
});

/** Where a GVA leads by the tables at `cr3`, read like a page walker does: large pages only. */
function walk(view: DataView, cr3: number, address: number): number {
  const entry = (table: number, index: number): number => Number(view.getBigUint64(table + index * 8, true));
  const table = (value: number): number => Math.floor(value / 4096) * 4096;
  const pdpt = table(entry(cr3, 0));
  const directory = table(entry(pdpt, Math.floor(address / 2 ** 30)));
  const large = entry(directory, Math.floor(address / 2 ** 21) % 512);
  return Math.floor(large / 2 ** 21) * 2 ** 21 + (address % 2 ** 21);
}

describe("a prepared Linux boot", () => {
  test("has the kernel's segments at their physical addresses and zeros after them", () => {
    const { memory } = boot();
    expect(memory.bytes.slice(0x1000000, 0x1000800)).toEqual(tinyVmlinux().slice(512, 2560));
    expect(memory.bytes.slice(0x1001000 + 400, 0x1001000 + 9000)).toEqual(new Uint8Array(8600));
  });

  test("is the same from files that are read piece by piece", () => {
    // Larger than a piece, so that there are several.
    const initrd = Uint8Array.from({ length: 700_000 }, (_, n) => n % 251);
    const bytes = boot({ kernel: tinyVmlinux(), initrd });
    const files = boot({ kernel: fileOf(tinyVmlinux()), initrd: fileOf(initrd) });
    expect(same(files.memory, bytes.memory)).toBe(true);
    expect({ ...files.state, kernel: { ...files.state.kernel, pvhEntry: 0 } }).toEqual({
      ...bytes.state,
      kernel: { ...bytes.state.kernel, pvhEntry: 0 },
    });
    expect(same(boot({ kernel: fileOf(images.xz) }).memory, boot({ kernel: images.xz }).memory)).toBe(true);
  });

  test("is refused where a file ends before its size", () => {
    const { read } = fileOf(tinyVmlinux());
    const shorter = { sizeBytes: tinyVmlinux().length, read: (at: number, into: Uint8Array) => read(at, into) - 1 };
    expect(refusal({ kernel: shorter })).toBe("a file to boot has become shorter than it was");
  });

  test("clears what memory held where the kernel wants zeros", () => {
    const memory = flatMemory(20 * MiB);
    memory.bytes.fill(0xcc);
    boot({ memory });
    expect(memory.bytes.slice(0x1001000 + 400, 0x1001000 + 9000)).toEqual(new Uint8Array(8600));
  });

  test("enters at the ELF entry in long mode with boot_params in RSI", () => {
    const { state } = boot();
    expect([state.entry, state.rsi, state.cs, state.ds]).toEqual([0x1000000, bootLayout.bootParams, 0x10, 0x18]);
    expect([state.cr0, state.cr4, state.efer]).toEqual([0x80000011, 0x20, 0x500]);
  });

  test("has the setup header, loader type and a zero sentinel in boot_params", () => {
    const { memory, params } = boot();
    expect(params(0x202)).toBe(0x53726448);
    expect(memory.bytes[bootLayout.bootParams + 0x210]).toBe(0xff);
    expect(memory.bytes[bootLayout.bootParams + 0x1ef]).toBe(0);
    expect(params(0x70)).toBe(0xe0000);
  });

  test("makes the same boot_params of a vmlinux and the header kept from its bzImage", () => {
    const kept = boot({ kernel: tinyVmlinux(), setupHeader: images.zstd.slice(0x1f1, 0x26c) });
    const at = bootLayout.bootParams;
    expect(kept.memory.bytes.slice(at, at + 4096)).toEqual(boot().memory.bytes.slice(at, at + 4096));
  });

  test("has the initrd on a page at the top of RAM", () => {
    const { memory, params } = boot();
    expect([params(0x218), params(0x21c)]).toEqual([20 * MiB - 8192, 5000]);
    expect(memory.bytes.slice(20 * MiB - 8192, 20 * MiB - 8192 + 5000)).toEqual(new Uint8Array(5000).fill(0x5a));
  });

  test("has the command line, ended by a zero", () => {
    const { memory, params } = boot({ commandLine: "a=é" });
    expect(memory.bytes.slice(params(0x228), params(0x228) + 5)).toEqual(Uint8Array.of(0x61, 0x3d, 0xc3, 0xa9, 0));
  });

  test("hands the seed over in setup_data", () => {
    const { view, params } = boot();
    const at = params(0x250);
    expect([view.getUint32(at + 8, true), view.getUint32(at + 12, true), view.getUint8(at + 16)]).toEqual([9, 32, 7]);
  });

  test("maps the first 4 GiB to themselves", () => {
    const { state, view } = boot();
    for (const address of [0, 0x1234567, 0x3fffffff, 0x40000000, 0xc0000123, 0xffffffff]) {
      expect(walk(view, state.cr3, address)).toBe(address);
    }
  });

  test("has flat code at 10 and data at 18 in its GDT", () => {
    const { state, view } = boot();
    expect(view.getBigUint64(state.gdtBase + 0x10, true)).toBe(0x00af9b000000ffffn);
    expect(view.getBigUint64(state.gdtBase + 0x18, true)).toBe(0x00cf93000000ffffn);
  });

  test("puts RAM past 3 GiB above 4 GiB in the address map", () => {
    const text = e820Map(5 * 1024 * MiB, []).map(
      (entry) => `${entry.gpa.toString(16)}+${entry.sizeBytes.toString(16)}:${entry.type}`,
    );
    expect(text).toEqual(["0+9fc00:1", "9fc00+60400:2", "100000+bff00000:1", "100000000+80000000:1"]);
  });

  test("is refused with the memory it would need", () => {
    expect(refusal({}, 16 * MiB)).toBe(
      "the kernel needs at least 17 MiB of memory and the VM has 16 MiB; give it more",
    );
  });

  test("is refused when the initrd does not fit, with what would do", () => {
    expect(refusal({ initrd: new Uint8Array(4 * MiB) })).toBe(
      "the initrd of 4 MiB does not fit in memory above the kernel; the VM needs at least 21 MiB",
    );
  });

  test("is refused when the command line is longer than the kernel takes", () => {
    expect(refusal({ commandLine: "x".repeat(2048) })).toBe(
      "the kernel command line has 2048 bytes; this kernel takes at most 2047: shorten it",
    );
  });
});
