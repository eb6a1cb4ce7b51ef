/**
 * An ELF64 x86-64 executable as a kernel loader sees it: what to put where in physical memory, and where to enter.
 *
 * Every number in the file is somebody else's: offsets are checked against the file before they are used, 64-bit
 * values against 2^52 before they become numbers. (System V ABI, "ELF Header", "Program Header".)
 */
import { type Gpa, gpa } from "#address";
import { isZero } from "./boot-bytes.ts";
import { BootError, sizeText } from "./boot-error.ts";

/** Bytes [fileOffset, + fileBytes) go to `gpa`; the rest up to `memoryBytes` is zero. */
export interface ElfSegment {
  readonly gpa: Gpa;
  readonly fileOffset: number;
  readonly fileBytes: number;
  readonly memoryBytes: number;
}

export interface ElfKernel {
  /** Physical address of the first instruction in 64-bit mode. */
  readonly entry: Gpa;
  /** In the order of the file; none is empty. */
  readonly segments: readonly ElfSegment[];
  /** End of the highest segment. */
  readonly end: Gpa;
  /** Where PVH enters in 32-bit mode (Xen's ELF note PHYS32_ENTRY), for a loader that wants it. */
  readonly pvhEntry: Gpa | undefined;
}

const headerBytes = 64;
const programHeaderBytes = 56;
const mostHeadBytes = 1 << 20;
const PT_LOAD = 1;
const PT_NOTE = 4;
const readWriteRun = 7;
const EM_386 = 3;
const EM_X86_64 = 62;
const XEN_ELFNOTE_PHYS32_ENTRY = 18;
const addressLimit = 2 ** 52;
const pageBytes = 4096;
/** A row of zeros that is worth a segment. */
const longRunBytes = 64 * pageBytes;

export const isElf = (file: Uint8Array): boolean =>
  file.length >= 4 && file[0] === 0x7f && file[1] === 0x45 && file[2] === 0x4c && file[3] === 0x46;

/** How many bytes of a file `parseElf` needs at least, seen from its first 64: its headers; more than any kernel has are not wanted. */
export function elfHeadBytes(start: Uint8Array): number {
  if (!isElf(start) || start.length < headerBytes) return headerBytes;
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  return Math.min(number64(view, 32) + view.getUint16(56, true) * programHeaderBytes, mostHeadBytes);
}

/**
 * Reads headers of a file of `sizeBytes`, of which `file` is the beginning; throws BootError where it is no 64-bit x86 kernel or its
 * headers lead out of it.
 */
export function parseElf(file: Uint8Array, sizeBytes = file.length): ElfKernel {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (!isElf(file)) throw new BootError("the file is no ELF executable");
  if (file.length < headerBytes) throw new BootError("the kernel's ELF header is truncated");
  if (file[4] === 1) throw new BootError("the kernel is 32-bit; only 64-bit x86 kernels boot here");
  if (file[4] !== 2 || file[5] !== 1) throw new BootError("the ELF file is not 64-bit little-endian");
  const machine = view.getUint16(18, true);
  if (machine === EM_386) throw new BootError("the kernel is 32-bit; only 64-bit x86 kernels boot here");
  if (machine !== EM_X86_64)
    throw new BootError(`the ELF file is for another processor (machine ${machine}), not x86-64`);
  const entry = number64(view, 24);
  const tableOffset = number64(view, 32);
  const entryBytes = view.getUint16(54, true);
  const count = view.getUint16(56, true);
  if (count === 0) throw new BootError("the ELF file has no program headers: an object file or a module, no kernel");
  if (entryBytes !== programHeaderBytes) throw new BootError("the kernel's ELF program headers have an unknown size");
  if (tableOffset + count * programHeaderBytes > file.length) {
    throw new BootError("the kernel's ELF program headers are truncated");
  }
  const segments: ElfSegment[] = [];
  let pvhEntry: Gpa | undefined;
  for (let i = 0; i < count; i++) {
    const header = tableOffset + i * programHeaderBytes;
    const type = view.getUint32(header, true);
    if (type === PT_LOAD) {
      const segment = segmentAt(view, header, sizeBytes);
      if (segment.memoryBytes > 0) segments.push(segment);
    } else if (type === PT_NOTE) {
      pvhEntry ??= findPvhEntry(view, number64(view, header + 8), number64(view, header + 32));
    }
  }
  if (segments.length === 0) throw new BootError("the ELF file has nothing to load");
  let end = 0;
  let entered = false;
  for (const segment of segments) {
    end = Math.max(end, segment.gpa + segment.memoryBytes);
    if (entry >= segment.gpa && entry < segment.gpa + segment.fileBytes) entered = true;
  }
  if (!entered) throw new BootError("the ELF file's entry is outside what it loads: not a kernel for physical memory");
  return { entry: gpa(entry), segments, end: gpa(end), pvhEntry };
}

function segmentAt(view: DataView, header: number, sizeBytes: number): ElfSegment {
  const fileOffset = number64(view, header + 8);
  const physical = number64(view, header + 24);
  const fileBytes = number64(view, header + 32);
  const memoryBytes = number64(view, header + 40);
  if (fileBytes > memoryBytes) throw new BootError("an ELF segment of the kernel is larger in the file than in memory");
  if (fileOffset + fileBytes > addressLimit) throw new BootError("an ELF segment of the kernel has an impossible size");
  if (fileOffset + fileBytes > sizeBytes) {
    throw new BootError(
      `the kernel is truncated: it needs ${sizeText(fileOffset + fileBytes)}, the file has ${sizeText(sizeBytes)}`,
    );
  }
  if (physical + memoryBytes > addressLimit) throw new BootError("an ELF segment lies outside physical memory");
  return { gpa: gpa(physical), fileOffset, fileBytes, memoryBytes };
}

/**
 * The same kernel for `parseElf`, in fewer bytes: long rows of zeros in its file are what segments have in memory alone. Sections and notes are
 * left out. Throws BootError as `parseElf` does.
 */
export function withoutZeros(file: Uint8Array): Uint8Array {
  const pieces = parseElf(file).segments.flatMap((segment) => piecesOf(file, segment));
  const headBytes = headerBytes + pieces.length * programHeaderBytes;
  const roundUp = (bytes: number): number => Math.ceil(bytes / pageBytes) * pageBytes;
  const size = pieces.reduce((sum, { fileBytes }) => sum + roundUp(fileBytes), roundUp(headBytes));
  const smaller = new Uint8Array(size);
  const view = new DataView(smaller.buffer);
  smaller.set(file.subarray(0, headerBytes));
  view.setBigUint64(32, BigInt(headerBytes), true);
  view.setUint16(56, pieces.length, true);
  // No sections: their offset, number and names.
  smaller.fill(0, 40, 48);
  smaller.fill(0, 60, 64);
  let at = roundUp(headBytes);
  pieces.forEach(({ gpa, fileOffset, fileBytes, memoryBytes }, n) => {
    const header = headerBytes + n * programHeaderBytes;
    view.setUint32(header, PT_LOAD, true);
    view.setUint32(header + 4, readWriteRun, true);
    [at, gpa, gpa, fileBytes, memoryBytes, pageBytes].forEach((value, field) =>
      view.setBigUint64(header + 8 + 8 * field, BigInt(value), true),
    );
    smaller.set(file.subarray(fileOffset, fileOffset + fileBytes), at);
    at += roundUp(fileBytes);
  });
  return smaller;
}

/** A segment as those that lie between its long rows of zeros, each with the zeros behind it. */
function piecesOf(file: Uint8Array, { gpa: start, fileOffset, fileBytes, memoryBytes }: ElfSegment): ElfSegment[] {
  const ends: { from: number; to: number }[] = [];
  let from = 0;
  /** Behind the last page that is not zeros. */
  let to = 0;
  for (let at = 0; at < fileBytes; at += pageBytes) {
    const end = Math.min(at + pageBytes, fileBytes);
    if (isZero(file, fileOffset + at, fileOffset + end)) continue;
    if (at - to >= longRunBytes) {
      ends.push({ from, to });
      from = at;
    }
    to = end;
  }
  ends.push({ from, to });
  return ends.map((piece, n) => ({
    gpa: gpa(start + piece.from),
    fileOffset: fileOffset + piece.from,
    fileBytes: piece.to - piece.from,
    memoryBytes: (ends[n + 1]?.from ?? memoryBytes) - piece.from,
  }));
}

/** A u64 of the file; what does not fit a physical address becomes a number that fails every bound. */
function number64(view: DataView, at: number): number {
  const value = view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
  return value > addressLimit ? Number.POSITIVE_INFINITY : value;
}

/** Walks notes (name size, description size, type, then both padded to four). A malformed list just ends. */
function findPvhEntry(view: DataView, offset: number, size: number): Gpa | undefined {
  if (offset + size > view.byteLength) return undefined;
  const end = offset + size;
  for (let at = offset; at + 12 <= end; ) {
    const nameBytes = view.getUint32(at, true);
    const descriptionBytes = view.getUint32(at + 4, true);
    const type = view.getUint32(at + 8, true);
    const description = at + 12 + Math.ceil(nameBytes / 4) * 4;
    const next = description + Math.ceil(descriptionBytes / 4) * 4;
    if (next > end) return undefined;
    // "Xen\0" read as a little-endian word.
    const isXen = nameBytes === 4 && view.getUint32(at + 12, true) === 0x006e6558;
    if (isXen && type === XEN_ELFNOTE_PHYS32_ENTRY && descriptionBytes >= 4) {
      return gpa(view.getUint32(description, true));
    }
    at = next;
  }
  return undefined;
}
