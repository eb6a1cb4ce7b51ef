/**
 * The header of a qcow2 file, versions 2 and 3 (QEMU, docs/interop/qcow2.txt). Numbers are big-endian.
 *
 * Law: what `parseHeader` gives is consistent: tables are aligned and large enough for the disk's size.
 */
import { DiskError, type DiskFile } from "../file.ts";

const magic = 0x5146_49fb;
const headerBytesV2 = 72;
export const headerBytesV3 = 112;

const incompatible = { dirty: 1, corrupt: 2, dataFile: 4, compression: 8, extendedL2: 16 } as const;
const knownIncompatible = incompatible.dirty | incompatible.corrupt | incompatible.compression;

export const extension = { end: 0, backingFormat: 0xe279_2aca, dataFile: 0x4441_5441 } as const;

/** L1 tables and refcount tables of more are no image's that we meet. */
const maxTableBytes = 32 << 20;

/** Byte offsets of fields that are written while the disk is in use. */
export const headerField = { refcountTableOffset: 48, refcountTableClusters: 56, autoclear: 88 } as const;

export interface Qcow2Header {
  readonly version: number;
  readonly clusterBits: number;
  readonly sizeBytes: number;
  readonly l1Entries: number;
  readonly l1Offset: number;
  readonly refcountTableOffset: number;
  readonly refcountTableClusters: number;
  /** Refcounts have 1 << this bits. */
  readonly refcountOrder: number;
  readonly compression: "deflate" | "zstd";
  readonly backing: { readonly name: string; readonly format: string | undefined } | undefined;
  /** Features that whoever writes without knowing them has to clear. */
  readonly hasAutoclear: boolean;
}

export function isQcow2(file: DiskFile): boolean {
  const bytes = new Uint8Array(4);
  file.read(0, bytes);
  return new DataView(bytes.buffer).getUint32(0) === magic;
}

/** Throws `DiskError` for what is no qcow2 file, or one that cannot be used so. */
export function parseHeader(file: DiskFile, readOnly: boolean): Qcow2Header {
  const wrong = (what: string): never => {
    throw new DiskError(`${file.name}: ${what}`);
  };
  const view = new DataView(new ArrayBuffer(headerBytesV3));
  file.read(0, new Uint8Array(view.buffer));
  if (view.getUint32(0) !== magic) wrong("no qcow2 file: its first bytes are not QFI\\xfb");
  const version = view.getUint32(4);
  if (version !== 2 && version !== 3) wrong(`qcow2 version ${version}: only 2 and 3 are known`);
  const clusterBits = view.getUint32(20);
  if (clusterBits < 9 || clusterBits > 21) wrong(`a qcow2 file with clusters of 2^${clusterBits} bytes`);
  if (view.getUint32(32) !== 0) wrong("the qcow2 file is encrypted, which is not supported");

  const features = version === 3 ? view.getUint32(76) : 0;
  if (version === 3 && view.getUint32(72) !== 0) wrong("the qcow2 file has features that are not known here");
  if ((features & incompatible.dataFile) !== 0)
    wrong("the qcow2 file keeps its data in another file, which is not supported");
  if ((features & incompatible.extendedL2) !== 0)
    wrong("the qcow2 file has subclusters (extended_l2), which is not supported");
  if ((features & ~knownIncompatible) !== 0) wrong("the qcow2 file has features that are not known here");
  if ((features & (incompatible.dirty | incompatible.corrupt)) !== 0 && !readOnly)
    wrong(
      "the qcow2 file was not closed properly or is damaged: repair it with qemu-img check -r all, or open it read-only",
    );
  const refcountOrder = version === 3 ? view.getUint32(96) : 4;
  if (refcountOrder > 6) wrong("the qcow2 file's refcounts are too wide");
  const headerLength = version === 3 ? view.getUint32(100) : headerBytesV2;
  if (headerLength < headerBytesV2 || headerLength > 1 << clusterBits) wrong("a qcow2 header of a bad length");
  const compressionType = (features & incompatible.compression) !== 0 ? view.getUint8(104) : 0;
  if (compressionType > 1) wrong(`qcow2 compression ${compressionType} is not known`);

  const sizeBytes = u64(view, 24);
  const l1Entries = view.getUint32(36);
  const header = {
    version,
    clusterBits,
    sizeBytes,
    l1Entries,
    l1Offset: u64(view, 40),
    refcountTableOffset: u64(view, 48),
    refcountTableClusters: view.getUint32(56),
    refcountOrder,
    compression: compressionType === 1 ? ("zstd" as const) : ("deflate" as const),
    hasAutoclear: version === 3 && (view.getUint32(88) !== 0 || view.getUint32(92) !== 0),
  };
  const clusterBytes = 2 ** clusterBits;
  if (sizeBytes === 0 || !Number.isSafeInteger(sizeBytes)) wrong("a qcow2 file of no sensible size");
  const needed = Math.ceil(sizeBytes / (clusterBytes * (clusterBytes / 8)));
  if (l1Entries < needed || l1Entries * 8 > maxTableBytes) wrong("the qcow2 file's first table does not fit its size");
  if (header.l1Offset % clusterBytes !== 0 || header.l1Offset === 0)
    wrong("the qcow2 file's first table lies at a bad place");
  if (header.refcountTableOffset % clusterBytes !== 0 || header.refcountTableOffset === 0)
    wrong("the qcow2 file's refcount table lies at a bad place");
  if (header.refcountTableClusters === 0 || header.refcountTableClusters * clusterBytes > maxTableBytes)
    wrong("the qcow2 file's refcount table has a bad size");
  return { ...header, backing: backingOf(file, view, headerLength, clusterBytes, wrong) };
}

function backingOf(
  file: DiskFile,
  view: DataView,
  headerLength: number,
  clusterBytes: number,
  wrong: (what: string) => never,
): Qcow2Header["backing"] {
  const offset = u64(view, 8);
  const length = view.getUint32(16);
  if (offset === 0) return undefined;
  if (length === 0 || length > 1023 || offset + length > clusterBytes)
    wrong("the name of the backing file lies at a bad place");
  const name = new Uint8Array(length);
  file.read(offset, name);
  return { name: new TextDecoder().decode(name), format: backingFormat(file, headerLength, offset) };
}

/** Of the header's extensions, which end where the name of the backing file begins. */
function backingFormat(file: DiskFile, from: number, end: number): string | undefined {
  const bytes = new Uint8Array(end);
  file.read(0, bytes);
  const view = new DataView(bytes.buffer);
  for (let at = from; at + 8 <= end; ) {
    const [type, length] = [view.getUint32(at), view.getUint32(at + 4)];
    if (type === extension.end || at + 8 + length > end) return undefined;
    if (type === extension.backingFormat) return new TextDecoder().decode(bytes.subarray(at + 8, at + 8 + length));
    at += 8 + ((length + 7) & ~7);
  }
  return undefined;
}

/** Exact below 2^53; larger values are rejected as sizes, and as offsets lie behind any file. */
const u64 = (view: DataView, at: number): number => view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);

/** The first cluster of a new file. */
export function encodeHeader(header: Omit<Qcow2Header, "hasAutoclear" | "compression">): Uint8Array {
  const bytes = new Uint8Array(2 ** header.clusterBits);
  const view = new DataView(bytes.buffer);
  const put64 = (at: number, value: number): void => {
    view.setUint32(at, Math.floor(value / 2 ** 32));
    view.setUint32(at + 4, value % 2 ** 32);
  };
  view.setUint32(0, magic);
  view.setUint32(4, header.version);
  view.setUint32(20, header.clusterBits);
  put64(24, header.sizeBytes);
  view.setUint32(36, header.l1Entries);
  put64(40, header.l1Offset);
  put64(48, header.refcountTableOffset);
  view.setUint32(56, header.refcountTableClusters);
  view.setUint32(96, header.refcountOrder);
  view.setUint32(100, headerBytesV3);
  if (header.backing === undefined) return bytes;
  const { name, format } = header.backing;
  let at = headerBytesV3;
  if (format !== undefined) {
    view.setUint32(at, extension.backingFormat);
    view.setUint32(at + 4, format.length);
    bytes.set(new TextEncoder().encode(format), at + 8);
    at += 8 + ((format.length + 7) & ~7);
  }
  at += 8;
  const encoded = new TextEncoder().encode(name);
  if (encoded.length > 1023) throw new DiskError(`${name}: the name is too long for a backing file's`);
  put64(8, at);
  view.setUint32(16, encoded.length);
  bytes.set(encoded, at);
  return bytes;
}
