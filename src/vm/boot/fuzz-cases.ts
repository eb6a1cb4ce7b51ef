/**
 * Hostile kernels for tests: small valid images of every kind, and a seeded way to damage them.
 *
 * The images are a tiny ELF vmlinux and bzImages of it, packed as recorded in packed-tiny-vmlinux.ts; half of
 * the damage is blind, the other half aims at sizes, offsets and headers, with checksums mended so that it gets in.
 */
import { type Gpa, gpa } from "#address";
import { BootError } from "./boot-error.ts";
import { crc32 } from "./crc32.ts";
import { type BootMemory, prepareLinuxBoot } from "./linux-boot.ts";
import { packedTinyVmlinux } from "./packed-tiny-vmlinux.ts";

/** A vmlinux of two segments at 16 MiB: text with CALLs for the x86 filter, and zeros. About 3 KiB. */
export function tinyVmlinux(): Uint8Array {
  const file = new Uint8Array(3000);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 62, true);
  view.setUint32(20, 1, true);
  view.setUint32(24, 0x1000000, true);
  view.setUint32(32, 64, true);
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 3, true);
  const program = (
    i: number,
    type: number,
    offset: number,
    at: number,
    fileBytes: number,
    memoryBytes: number,
  ): void => {
    const header = 64 + i * 56;
    view.setUint32(header, type, true);
    view.setUint32(header + 8, offset, true);
    view.setUint32(header + 24, at, true);
    view.setUint32(header + 32, fileBytes, true);
    view.setUint32(header + 40, memoryBytes, true);
  };
  program(0, 1, 512, 0x1000000, 2048, 2048);
  program(1, 1, 2560, 0x1001000, 400, 9000);
  program(2, 4, 240, 0, 20, 0);
  view.setUint32(240, 4, true);
  view.setUint32(244, 4, true);
  view.setUint32(248, 18, true);
  view.setUint32(252, 0x006e6558, true);
  view.setUint32(256, 0x1000100, true);
  let seed = 7;
  for (let at = 512; at < 2900; at++) {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    file[at] = at % 11 === 0 ? 0xe8 : at % 11 === 4 ? (seed & 0x100 ? 0xff : 0) : (seed >> 12) & 0x1f;
  }
  return file;
}

/** A bzImage around `payload`; `unpackedBytes` is appended as a kernel build does, unless absent. */
export function bzImage(payload: Uint8Array, unpackedBytes?: number): Uint8Array {
  const length = payload.length + (unpackedBytes === undefined ? 0 : 4);
  const file = new Uint8Array(1024 + 16 + length);
  const view = new DataView(file.buffer);
  file[0x1f1] = 1;
  view.setUint16(0x1fe, 0xaa55, true);
  file[0x200] = 0xeb;
  file[0x201] = 0x6a;
  view.setUint32(0x202, 0x53726448, true);
  view.setUint16(0x206, 0x020f, true);
  view.setUint8(0x211, 1);
  view.setUint32(0x22c, 0x7fffffff, true);
  view.setUint16(0x236, 3, true);
  view.setUint32(0x238, 2047, true);
  view.setUint32(0x248, 16, true);
  view.setUint32(0x24c, length, true);
  file.set(payload, 1040);
  if (unpackedBytes !== undefined) view.setUint32(1040 + payload.length, unpackedBytes, true);
  return file;
}

/** A generator of 32-bit numbers (xorshift): the same seed gives the same cases. */
export function random(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const edges = [0, 1, 2, 0x7f, 0x80, 0xff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff] as const;

/** A damaged copy of `image`: cut, flipped, overwritten, with an edge value in a header, or with pieces moved. */
export function damage(image: Uint8Array, next: (below: number) => number): Uint8Array {
  let file = image.slice();
  for (let count = 1 + next(3); count > 0; count--) {
    if (file.length === 0) return file;
    // Half of the damage hits the ELF or setup header and the payload's beginning, where the numbers are.
    const payloadAt = image[0] === 0x7f ? 0 : 1040;
    const at = next(2) ? next(file.length) : Math.min(file.length - 1, next(2) ? payloadAt + next(40) : next(0x270));
    const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
    switch (next(7)) {
      case 0:
        file = file.slice(0, next(file.length + 1));
        break;
      case 1:
        file[at] ^= 1 << next(8);
        break;
      case 2:
        file[at] = next(256);
        break;
      case 3:
        if (at + 4 <= file.length) view.setUint32(at, edges[next(edges.length)], true);
        break;
      case 4:
        if (at + 8 <= file.length)
          view.setBigUint64(at, BigInt.asUintN(64, BigInt(next(1 << 30)) << BigInt(next(64))), true);
        break;
      case 5:
        file.copyWithin(at, next(file.length), next(file.length));
        break;
      default:
        // The unpacked size, or the offset and length of the payload.
        if (file.length >= 0x254)
          view.setUint32(
            next(2) ? file.length - 4 : 0x248 + next(2) * 4,
            next(2) ? next(8192) : edges[next(edges.length)],
            true,
          );
    }
  }
  return next(2) ? mendXz(file) : file;
}

/** Makes the checksums of an XZ header and first block header right again, so that damage behind them is reached. */
function mendXz(file: Uint8Array): Uint8Array {
  const start = 1040;
  if (file.length < start + 24 || file[start] !== 0xfd || file[start + 1] !== 0x37) return file;
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  view.setUint32(start + 8, crc32(file, start + 6, start + 8), true);
  const end = start + 12 + (file[start + 12] + 1) * 4;
  if (end <= file.length) view.setUint32(end - 4, crc32(file, start + 12, end - 4), true);
  return file;
}

/** Flat guest memory for tests. */
export function flatMemory(sizeBytes: number): BootMemory & { readonly bytes: Uint8Array } {
  const bytes = new Uint8Array(sizeBytes);
  const inside = (at: Gpa, length: number): boolean => at >= 0 && at + length <= sizeBytes;
  return {
    bytes,
    sizeBytes,
    read(at, target) {
      if (!inside(at, target.length)) return false;
      target.set(bytes.subarray(at, at + target.length));
      return true;
    },
    write(at, source) {
      if (!inside(at, source.length)) return false;
      bytes.set(source, at);
      return true;
    },
    clear(at, length) {
      if (!inside(at, length)) return false;
      bytes.fill(0, at, at + length);
      return true;
    },
  };
}

/** Every kind of image, packed and not. */
export function tinyImages(): Record<string, Uint8Array> {
  const vmlinux = tinyVmlinux();
  const unpack = (hex: string): Uint8Array =>
    Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
  return {
    elf: vmlinux,
    plain: bzImage(vmlinux),
    gzip: bzImage(unpack(packedTinyVmlinux.gzip)),
    xz: bzImage(unpack(packedTinyVmlinux.xz), vmlinux.length),
    lz4: bzImage(unpack(packedTinyVmlinux.lz4), vmlinux.length),
    zstd: bzImage(unpack(packedTinyVmlinux.zstd), vmlinux.length),
    zstdNoCheck: bzImage(unpack(packedTinyVmlinux.zstdNoCheck), vmlinux.length),
  };
}

export interface FuzzOutcome {
  readonly booted: number;
  /** Refusals by their message, numbers left out. */
  readonly refused: Map<string, number>;
  /** Cases that threw anything but a BootError, or took longer than `slowMs`. */
  readonly failures: readonly { readonly image: string; readonly case: number; readonly what: string }[];
}

/** Loads `count` damaged images. `now` is a clock in milliseconds. */
export function fuzzLoader(count: number, seed: number, now: () => number, slowMs: number): FuzzOutcome {
  const ramBytes = 18 << 20;
  const memory = flatMemory(ramBytes);
  const images = Object.entries(tinyImages());
  const refused = new Map<string, number>();
  const failures: { image: string; case: number; what: string }[] = [];
  const initrd = new Uint8Array(5000).fill(1);
  const next = random(seed);
  let booted = 0;
  for (let i = 0; i < count; i++) {
    const [name, image] = images[i % images.length];
    const kernel = damage(image, next);
    const started = now();
    try {
      prepareLinuxBoot({
        memory,
        kernel,
        initrd,
        commandLine: "quiet",
        ramBytes,
        acpiRsdp: gpa(0),
        rngSeed: initrd.subarray(0, 32),
      });
      booted++;
    } catch (error) {
      const oneLine = error instanceof BootError && !error.message.includes("\n");
      if (!oneLine) failures.push({ image: name, case: i, what: String(error instanceof Error ? error.stack : error) });
      else refused.set(error.message.replace(/\d+/g, "N"), (refused.get(error.message.replace(/\d+/g, "N")) ?? 0) + 1);
    }
    const took = now() - started;
    if (took > slowMs) failures.push({ image: name, case: i, what: `took ${Math.round(took)} ms` });
  }
  return { booted, refused, failures };
}
