/** A snapshot file's bytes, as docs/snapshots.md describes them. */
import { pageSize } from "#address";
import { parseValue, printValue, type Value, xxh64Low } from "#base";

const magic = "MEMVSNAP";
export const formatVersion = 2;
/** The header's page. */
export const firstPlace = 1;
const headerBytes = 64;
const headerCheckAt = headerBytes - 4;
/** Guest frame number; check of the page; place in the file, counted in pages, or 0 for a page of zeros. */
const entryWords = 3;
/** A description is some tens of kilobytes: a longer one is none. */
const longestDescription = 64 << 20;
/** 64 GiB of guest-physical addresses. */
export const mostPages = 1 << 24;

/** A file that is no snapshot, or not a whole one. */
export class SnapshotError extends Error {
  override name = "SnapshotError";
}

/** What is read of a snapshot: a file. */
export interface SnapshotSource {
  /** For messages. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Fills `target` from `offset` on; gives how many bytes there were. */
  read(offset: number, target: Uint8Array): number;
  /** Opens the file of that name, as one in the folder of this one has it. Throws SnapshotError. */
  open?(name: string): SnapshotSource;
}

/** The pages of a snapshot, in order of their numbers. */
export interface PageIndex {
  readonly count: number;
  gfn(n: number): number;
  check(n: number): number;
  /** In the file, counted in pages; 0: a page of zeros. */
  place(n: number): number;
}

export interface Opened {
  /** The header, by whose checks a snapshot is known. */
  readonly header: Uint8Array;
  readonly description: Value;
  readonly index: PageIndex;
}

/** What comes behind the pages, and the header that says where; `index`: three words a page. */
export interface Ending {
  readonly header: Uint8Array;
  readonly tail: Uint8Array;
}

/** `offset`: where the tail will lie. */
export function encodeEnding(description: Value, index: Uint32Array, offset: number): Ending {
  const text = new TextEncoder().encode(printValue(description));
  const indexBytes = new Uint8Array(index.buffer, index.byteOffset, index.byteLength);
  const tail = new Uint8Array(indexBytes.length + text.length);
  tail.set(indexBytes);
  tail.set(text, indexBytes.length);
  const header = new Uint8Array(headerBytes);
  const view = new DataView(header.buffer);
  header.set(new TextEncoder().encode(magic));
  view.setUint32(8, formatVersion, true);
  view.setUint32(12, text.length, true);
  view.setUint32(16, xxh64Low(text), true);
  view.setUint32(20, index.length / entryWords, true);
  view.setUint32(24, xxh64Low(indexBytes), true);
  view.setBigUint64(32, BigInt(offset + indexBytes.length), true);
  view.setBigUint64(40, BigInt(offset), true);
  view.setUint32(headerCheckAt, xxh64Low(header.subarray(0, headerCheckAt)), true);
  return { header, tail };
}

interface Head {
  readonly version: number;
  readonly header: Uint8Array;
  readonly description: Value;
  readonly pageCount: number;
  readonly indexCheck: number;
  readonly indexAt: number;
}

/** All but the index and the pages. Throws `SnapshotError`, which names the file and says what is wrong with it. */
export function openDescription(source: SnapshotSource): Head {
  const refuse = refusal(source);
  if (source.sizeBytes < 32) refuse("this is no snapshot");
  const start = take(source, 0, 32);
  if (new TextDecoder().decode(start.subarray(0, 8)) !== magic) refuse("this is no snapshot");
  const version = new DataView(start.buffer).getUint32(8, true);
  if (version > formatVersion || version < 1)
    refuse(`its format is ${version}, and this memvisor reads 1 to ${formatVersion}: take a newer memvisor`);
  const header = version === 1 ? start : take(source, 0, headerBytes);
  const words = new DataView(header.buffer);
  const [length, check, pageCount, indexCheck] = [12, 16, 20, 24].map((at) => words.getUint32(at, true));
  const headerEnd = header.length - 4;
  if (xxh64Low(header.subarray(0, headerEnd)) !== words.getUint32(headerEnd, true))
    refuse("the snapshot's header is damaged");
  if (length > longestDescription || pageCount > mostPages) refuse("the snapshot's header is damaged");
  const descriptionAt = version === 1 ? header.length : Number(words.getBigUint64(32, true));
  const indexAt = version === 1 ? toPage(header.length + length) : Number(words.getBigUint64(40, true));
  const text = take(source, descriptionAt, length);
  if (xxh64Low(text) !== check) refuse("the snapshot's description is damaged");
  const description = parseValue(new TextDecoder().decode(text));
  return { version, header, description, pageCount, indexCheck, indexAt };
}

/** Throws as `openDescription` does. */
export function openSnapshot(source: SnapshotSource): Opened {
  const refuse = refusal(source);
  const { version, header, description, pageCount, indexCheck, indexAt } = openDescription(source);
  const entryBytes = version === 1 ? 8 : 4 * entryWords;
  const bytes = take(source, indexAt, pageCount * entryBytes);
  if (xxh64Low(bytes) !== indexCheck) refuse("the snapshot's index is damaged");
  const pagesAt = version === 1 ? toPage(indexAt + bytes.length) / pageSize : 0;
  const index = indexOf(new Uint32Array(bytes.buffer), entryBytes / 4, pagesAt);
  let end = 0;
  for (let n = 0, before = -1; n < pageCount; n++) {
    const gfn = index.gfn(n);
    if (gfn >= mostPages || gfn <= before) refuse("the snapshot's index is not in order");
    before = gfn;
    end = Math.max(end, index.place(n) + 1);
  }
  if (pageCount > 0 && source.sizeBytes < end * pageSize) refuse("the snapshot is truncated");
  return { header, description, index };
}

/** In the first version pages have no place of their own: they lie in the index's order from `pagesAt` on, and none is zeros. */
function indexOf(words: Uint32Array, width: number, pagesAt: number): PageIndex {
  return {
    count: words.length / width,
    gfn: (n) => words[width * n],
    check: (n) => words[width * n + 1],
    place: width === entryWords ? (n) => words[width * n + 2] : (n) => pagesAt + n,
  };
}

const toPage = (offset: number): number => Math.ceil(offset / pageSize) * pageSize;

const refusal =
  ({ name }: SnapshotSource) =>
  (why: string): never => {
    throw new SnapshotError(`${name}: ${why}`);
  };

function take(source: SnapshotSource, offset: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  if (offset + length > source.sizeBytes || source.read(offset, bytes) !== length)
    refusal(source)("the snapshot is truncated");
  return bytes;
}
