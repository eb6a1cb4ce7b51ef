/** A snapshot file's bytes, as docs/snapshots.md describes them. */
import { pageSize } from "#address";
import { parseValue, printValue, type Value, xxh64Low } from "#base";

const magic = "MEMVSNAP";
export const formatVersion = 1;
const headerBytes = 32;
export const indexEntryBytes = 8;
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
}

export interface Layout {
  readonly index: number;
  readonly pages: number;
  readonly sizeBytes: number;
}

export interface Opened {
  /** The header, by whose checks a snapshot is known. */
  readonly head: Uint8Array;
  readonly description: Value;
  /** Guest frame number and check of each page, in turn. */
  readonly index: Uint32Array;
  readonly layout: Layout;
}

const toPage = (offset: number): number => Math.ceil(offset / pageSize) * pageSize;

function layoutOf(descriptionBytes: number, pageCount: number): Layout {
  const index = toPage(headerBytes + descriptionBytes);
  const pages = toPage(index + pageCount * indexEntryBytes);
  return { index, pages, sizeBytes: pages + pageCount * pageSize };
}

/** All that comes before the pages. `index`: guest frame number and check of each. */
export function encodeHead(description: Value, index: Uint32Array): Uint8Array {
  const text = new TextEncoder().encode(printValue(description));
  const indexBytes = new Uint8Array(index.buffer, index.byteOffset, index.byteLength);
  const layout = layoutOf(text.length, index.length / 2);
  const bytes = new Uint8Array(layout.pages);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(magic));
  [formatVersion, text.length, xxh64Low(text), index.length / 2, xxh64Low(indexBytes)].forEach((word, n) =>
    view.setUint32(8 + 4 * n, word, true),
  );
  view.setUint32(28, xxh64Low(bytes.subarray(0, 28)), true);
  bytes.set(text, headerBytes);
  bytes.set(indexBytes, layout.index);
  return bytes;
}

interface Head {
  readonly head: Uint8Array;
  readonly description: Value;
  readonly pageCount: number;
  readonly indexCheck: number;
  readonly layout: Layout;
}

/** All but the index and the pages. Throws `SnapshotError`, which names the file and says what is wrong with it. */
export function openDescription(source: SnapshotSource): Head {
  const refuse = refusal(source);
  if (source.sizeBytes < headerBytes) refuse("this is no snapshot");
  const head = take(source, 0, headerBytes);
  if (new TextDecoder().decode(head.subarray(0, 8)) !== magic) refuse("this is no snapshot");
  const words = new DataView(head.buffer);
  const [version, length, check, pageCount, indexCheck, headCheck] = [8, 12, 16, 20, 24, 28].map((at) =>
    words.getUint32(at, true),
  );
  if (version !== formatVersion) refuse(`its format is ${version}, and this memvisor reads ${formatVersion}`);
  if (xxh64Low(head.subarray(0, 28)) !== headCheck) refuse("the snapshot's header is damaged");
  if (length > longestDescription || pageCount > mostPages) refuse("the snapshot's header is damaged");
  const layout = layoutOf(length, pageCount);
  if (source.sizeBytes < layout.sizeBytes) refuse("the snapshot is truncated");
  const text = take(source, headerBytes, length);
  if (xxh64Low(text) !== check) refuse("the snapshot's description is damaged");
  return { head, description: parseValue(new TextDecoder().decode(text)), pageCount, indexCheck, layout };
}

/** Throws as `openDescription` does. */
export function openSnapshot(source: SnapshotSource): Opened {
  const refuse = refusal(source);
  const { head, description, pageCount, indexCheck, layout } = openDescription(source);
  const indexBytes = take(source, layout.index, pageCount * indexEntryBytes);
  if (xxh64Low(indexBytes) !== indexCheck) refuse("the snapshot's index is damaged");
  const index = new Uint32Array(indexBytes.buffer);
  if (pageCount > 0 && index[index.length - 2] >= mostPages) refuse("the snapshot's index is damaged");
  for (let n = 2; n < index.length; n += 2)
    if (index[n] <= index[n - 2]) refuse("the snapshot's index is not in order");
  return { head, description, index, layout };
}

const refusal =
  ({ name }: SnapshotSource) =>
  (why: string): never => {
    throw new SnapshotError(`${name}: ${why}`);
  };

function take(source: SnapshotSource, offset: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  if (source.read(offset, bytes) !== length) refusal(source)("the snapshot is truncated");
  return bytes;
}
