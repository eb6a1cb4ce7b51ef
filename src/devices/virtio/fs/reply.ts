/** From what a share answers to the bytes of a FUSE reply. */
import { pageSize } from "#address";
import {
  attributeBytes,
  dirEntryBytes,
  entryBytes,
  fuseMajor,
  fuseMinor,
  maxWriteBytes,
  oldestMinor,
  outHeaderBytes,
} from "./protocol.ts";
import { type Attributes, type DirectoryEntry, type Entry, type FileSystemStats, ShareError } from "./share-host.ts";

/** How long the guest may take names and attributes for true without asking: the host's programs change them, too. */
const validMs = 1000;
const validSeconds = BigInt(Math.floor(validMs / 1000));
const validNs = (validMs % 1000) * 1_000_000;
const nsPerSecond = 1_000_000_000n;

/** What every reply begins with. `length`: of all of it; `error`: a number of Linux's, or 0. */
export function answerHeader(length: number, error: number, unique: bigint): Uint8Array {
  const view = new DataView(new ArrayBuffer(outHeaderBytes));
  view.setUint32(0, length, true);
  view.setInt32(4, -error, true);
  view.setBigUint64(8, unique, true);
  return new Uint8Array(view.buffer);
}

function putAttributes(view: DataView, at: number, a: Attributes): void {
  const times = [a.atimeNs, a.mtimeNs, a.ctimeNs];
  const seconds = times.map((ns) => (ns - (((ns % nsPerSecond) + nsPerSecond) % nsPerSecond)) / nsPerSecond);
  [a.ino, a.size, a.blocks, ...seconds].forEach((value, n) =>
    view.setBigUint64(at + 8 * n, BigInt.asUintN(64, value), true),
  );
  times.forEach((ns, n) => view.setUint32(at + 48 + 4 * n, Number(ns - seconds[n] * nsPerSecond), true));
  [a.mode, a.nlink, a.uid, a.gid, a.rdev, a.blksize].forEach((value, n) =>
    view.setUint32(at + 60 + 4 * n, value >>> 0, true),
  );
}

function putEntry(view: DataView, at: number, { node, attributes }: Entry): void {
  view.setBigUint64(at, BigInt(node), true);
  view.setBigUint64(at + 16, validSeconds, true);
  view.setBigUint64(at + 24, validSeconds, true);
  view.setUint32(at + 32, validNs, true);
  view.setUint32(at + 36, validNs, true);
  putAttributes(view, at + 40, attributes);
}

export function attributesReply(attributes: Attributes): Uint8Array {
  const view = new DataView(new ArrayBuffer(16 + attributeBytes));
  view.setBigUint64(0, validSeconds, true);
  view.setUint32(8, validNs, true);
  putAttributes(view, 16, attributes);
  return new Uint8Array(view.buffer);
}

export function entryReply(entry: Entry, more: Uint8Array = new Uint8Array(0)): Uint8Array {
  const bytes = new Uint8Array(entryBytes + more.length);
  putEntry(new DataView(bytes.buffer), 0, entry);
  bytes.set(more, entryBytes);
  return bytes;
}

/** fuse_open_out. */
export function openReply(handle: number, flags: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  view.setBigUint64(0, BigInt(handle), true);
  view.setUint32(8, flags, true);
  return new Uint8Array(view.buffer);
}

/** fuse_write_out. */
export function writeReply(written: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setUint32(0, written, true);
  return new Uint8Array(view.buffer);
}

/** fuse_lseek_out. */
export function seekReply(offset: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(offset), true);
  return new Uint8Array(view.buffer);
}

export function statfsReply(s: FileSystemStats): Uint8Array {
  const view = new DataView(new ArrayBuffer(80));
  [s.blocks, s.free, s.available, s.files, s.filesFree].forEach((value, n) =>
    view.setBigUint64(8 * n, BigInt.asUintN(64, value), true),
  );
  view.setUint32(40, s.blockSize, true);
  view.setUint32(44, 255, true);
  view.setUint32(48, s.blockSize, true);
  return new Uint8Array(view.buffer);
}

/** fuse_init_in, as far as it is looked at. */
interface InitOffer {
  readonly major: number;
  readonly minor: number;
  readonly readAhead: number;
  readonly flags: number;
}

/** Requests that the driver keeps in flight in the background. */
const background = 32;

/** fuse_init_out: what both can, of what the driver offers and the server wants. Throws ShareError for a driver that is too old. */
export function initReply({ major, minor, readAhead, flags }: InitOffer, wantedFlags: number): Uint8Array {
  if (major < fuseMajor || (major === fuseMajor && minor < oldestMinor)) throw new ShareError("EIO");
  const agreed = major > fuseMajor ? fuseMinor : Math.min(minor, fuseMinor);
  const view = new DataView(new ArrayBuffer(64));
  for (const [n, value] of [fuseMajor, agreed, readAhead, flags & wantedFlags].entries())
    view.setUint32(4 * n, value >>> 0, true);
  view.setUint16(16, background, true);
  view.setUint16(18, (background * 3) / 4, true);
  view.setUint32(20, maxWriteBytes, true);
  // Times are exact to a nanosecond.
  view.setUint32(24, 1, true);
  view.setUint16(28, maxWriteBytes / pageSize, true);
  return new Uint8Array(view.buffer);
}

const unknownIno = 0xffff_ffffn;

/** fuse_dirent, or fuse_direntplus with an entry; node 0 is one that the driver has to look up. */
export function dirEntry({ name, type, next }: DirectoryEntry, entry?: Entry | "none"): Uint8Array {
  const head = entry === undefined ? 0 : entryBytes;
  const bytes = new Uint8Array(dirEntrySize(name, entry !== undefined));
  const view = new DataView(bytes.buffer);
  if (entry !== undefined && entry !== "none") putEntry(view, 0, entry);
  const ino = entry === undefined || entry === "none" ? unknownIno : entry.attributes.ino;
  view.setBigUint64(head, ino, true);
  view.setBigUint64(head + 8, BigInt(next), true);
  view.setUint32(head + 16, name.length, true);
  view.setUint32(head + 20, type, true);
  for (let n = 0; n < name.length; n++) bytes[head + dirEntryBytes + n] = name.charCodeAt(n);
  return bytes;
}

export function dirEntrySize(name: string, plus: boolean): number {
  return (plus ? entryBytes : 0) + ((dirEntryBytes + name.length + 7) & ~7);
}
