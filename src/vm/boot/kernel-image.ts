/**
 * A kernel file of either kind, brought to the one form that boots here: an ELF64 vmlinux and its setup header.
 *
 * A bzImage is boot sector and setup code (with the setup header), then protected-mode code in which the compressed
 * vmlinux lies: payload_offset and payload_length say where, its last four bytes how large it unpacks.
 * (Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header".)
 */
import { type BootBytes, bytesOf, sizeOf } from "./boot-bytes.ts";
import { BootError, sizeText } from "./boot-error.ts";
import { isElf } from "./elf.ts";
import { decodeGzip } from "./gzip.ts";
import { decodeLz4Legacy } from "./lz4.ts";
import { decodeXz } from "./xz.ts";
import { decodeZstd } from "./zstd.ts";

export type Compression = "none" | "gzip" | "xz" | "lz4" | "zstd";
/** Unpacks `input` to `output` and gives back the bytes written; throws BootError for bad data. */
export type Decoder = (input: Uint8Array, output: Uint8Array) => number;

export interface KernelImage<T extends BootBytes = Uint8Array> {
  readonly vmlinux: T;
  /** The setup header of the bzImage, from offset 0x1f1 on; absent where the file was a vmlinux. */
  readonly setupHeader: Uint8Array | undefined;
  readonly compression: Compression;
}

export interface UnpackOptions {
  /** What the unpacked kernel may take. The guest's memory is the natural bound. */
  readonly limitBytes?: number;
  /** Faster decoders of the host, by compression. What they throw counts as corrupt data. */
  readonly decoders?: Partial<Record<Compression, Decoder>>;
}

/** Offsets in the file and in boot_params alike. */
export const setupHeaderStart = 0x1f1;
/** The setup header ends where a jump over it, at 0x200, lands; boot_params has room up to here. */
const setupHeaderLimit = 0x290;
const lowestProtocol = 0x020c;
const defaultLimit = 1024 * 1024 * 1024;

const magics: readonly { readonly bytes: readonly number[]; readonly name: string; readonly decode?: Decoder }[] = [
  { name: "gzip", bytes: [0x1f, 0x8b], decode: decodeGzip },
  { name: "xz", bytes: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], decode: decodeXz },
  { name: "lz4", bytes: [0x02, 0x21, 0x4c, 0x18], decode: decodeLz4Legacy },
  { name: "zstd", bytes: [0x28, 0xb5, 0x2f, 0xfd], decode: decodeZstd },
  { name: "none", bytes: [0x7f, 0x45, 0x4c, 0x46], decode: copy },
  { name: "bzip2", bytes: [0x42, 0x5a, 0x68] },
  { name: "lzma", bytes: [0x5d, 0x00, 0x00] },
  { name: "lzo", bytes: [0x89, 0x4c, 0x5a, 0x4f] },
];

/** Gives the vmlinux in `file`, a bzImage or an ELF vmlinux, unpacked where it was packed; a file that is one is not read. */
export function unpackKernel<T extends BootBytes>(file: T, options: UnpackOptions = {}): KernelImage<T | Uint8Array> {
  if (isElf(bytesOf(file, 0, Math.min(4, sizeOf(file)))))
    return { vmlinux: file, setupHeader: undefined, compression: "none" };
  const { setupHeader, payload, unpackedBytes } = parseBzImage(bytesOf(file));
  const kind = magics.find(({ bytes }) => bytes.every((byte, i) => payload[i] === byte));
  if (kind === undefined)
    throw new BootError("the kernel's payload is compressed in an unknown way; gzip, xz, lz4 and zstd are known");
  if (kind.decode === undefined) {
    throw new BootError(
      `the kernel is compressed with ${kind.name}, which is not supported; unpack it to a vmlinux first`,
    );
  }
  const compression = kind.name as Compression;
  const limit = options.limitBytes ?? defaultLimit;
  if (unpackedBytes > limit) {
    throw new BootError(
      `the kernel needs at least ${sizeText(unpackedBytes)} of memory unpacked, and may take ${sizeText(limit)}`,
    );
  }
  const vmlinux = allocate(unpackedBytes);
  // gzip's own trailer ends with the size; for the others the build appended it.
  const packed = compression === "gzip" || compression === "none" ? payload : payload.subarray(0, payload.length - 4);
  const written = decode(options.decoders?.[compression] ?? kind.decode, packed, vmlinux, kind.name);
  if (written !== unpackedBytes) {
    throw new BootError(`the kernel's ${kind.name} data is corrupt: ${written} of ${unpackedBytes} bytes came out`);
  }
  if (!isElf(vmlinux)) throw new BootError("the kernel's payload is no ELF vmlinux");
  return { vmlinux, setupHeader, compression };
}

function parseBzImage(file: Uint8Array): { setupHeader: Uint8Array; payload: Uint8Array; unpackedBytes: number } {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length === 0) throw new BootError("the kernel file is empty");
  const isBoot =
    file.length >= 0x206 && view.getUint16(0x1fe, true) === 0xaa55 && view.getUint32(0x202, true) === 0x53726448;
  if (!isBoot) throw new BootError(`the file is no Linux kernel: neither a bzImage nor an ELF vmlinux${guess(file)}`);
  if (file.length < setupHeaderLimit) throw new BootError("the kernel is truncated inside its setup header");
  const protocol = view.getUint16(0x206, true);
  if (protocol < lowestProtocol) {
    throw new BootError(
      `the kernel is too old: boot protocol ${protocol >> 8}.${protocol & 0xff}, at least 2.12 is needed`,
    );
  }
  if ((view.getUint16(0x236, true) & 1) === 0)
    throw new BootError("the kernel is 32-bit; only 64-bit x86 kernels boot here");
  const setupBytes = ((file[setupHeaderStart] || 4) + 1) * 512;
  const start = setupBytes + view.getUint32(0x248, true);
  const length = view.getUint32(0x24c, true);
  if (start + length > file.length) {
    throw new BootError(
      `the kernel is truncated: it needs ${sizeText(start + length)}, the file has ${sizeText(file.length)}`,
    );
  }
  if (length < 8) throw new BootError("the kernel has no payload");
  const payload = file.subarray(start, start + length);
  const headerEnd = Math.min(0x202 + file[0x201], setupHeaderLimit);
  // An uncompressed payload says its size by its length.
  const unpackedBytes = isElf(payload) ? length : view.getUint32(start + length - 4, true);
  return { setupHeader: file.slice(setupHeaderStart, Math.max(headerEnd, 0x268)), payload, unpackedBytes };
}

function guess(file: Uint8Array): string {
  if (file[0] === 0x1f && file[1] === 0x8b) return " (it is a gzip file; unpack it)";
  if (file[0] === 0x30 && file[1] === 0x37) return " (it is a cpio archive: an initrd?)";
  if (file[0] === 0x21 && file[1] === 0x3c)
    return " (it is an ar archive or a Debian package; extract vmlinuz from it)";
  return "";
}

function copy(input: Uint8Array, output: Uint8Array): number {
  output.set(input);
  return input.length;
}

function allocate(sizeBytes: number): Uint8Array {
  try {
    return new Uint8Array(sizeBytes);
  } catch {
    throw new BootError(`the host has no ${sizeText(sizeBytes)} of memory for the unpacked kernel`);
  }
}

function decode(decoder: Decoder, input: Uint8Array, output: Uint8Array, name: string): number {
  try {
    return decoder(input, output);
  } catch (error) {
    if (error instanceof BootError) throw error;
    const [why] = (error instanceof Error ? error.message : String(error)).split("\n");
    throw new BootError(`the kernel's ${name} data is corrupt: ${why}`);
  }
}
