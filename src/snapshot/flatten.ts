/** A differential snapshot and those below it, written as one that needs no other. */
import { pageSize } from "#address";
import { type Value, xxh64Low } from "#base";
import type { SavedDisk } from "#devices";
import { encodeEnding, firstPlace, openDescription, SnapshotError, type SnapshotSource } from "./format.ts";
import { readSnapshot } from "./restore.ts";
import type { SnapshotSink } from "./save.ts";

export interface Flattened {
  readonly sizeBytes: number;
  /** In the file. */
  readonly pages: number;
}

/** A disk as it is in the new file, from `offset` on, and where that ends. */
export type CopyDisk = (disk: SavedDisk, offset: number) => { readonly saved: SavedDisk; readonly end: number };

const gatheredPages = 256;

/** Throws `SnapshotError` where one of them is missing or damaged: no page is copied whose checksum is not that which was saved. */
export function flattenSnapshot(source: SnapshotSource, sink: SnapshotSink, copyDisk: CopyDisk): Flattened {
  const { pages } = readSnapshot(source);
  const gathered = new Uint8Array(gatheredPages * pageSize);
  const words: number[] = [];
  let next = firstPlace;
  let held = 0;
  const write = (): void => {
    if (held > 0) sink.writeAt((next - held) * pageSize, gathered.subarray(0, held * pageSize));
    held = 0;
  };
  for (let gfn = 0; gfn < pages.end; gfn++) {
    if (!pages.has(gfn)) continue;
    const bytes = pages.bytesOf(gfn);
    const check = xxh64Low(bytes);
    if (check !== pages.checkOf(gfn))
      throw new SnapshotError(`${source.name}: the page of guest frame 0x${gfn.toString(16)} is damaged`);
    words.push(gfn, check, next++);
    gathered.set(bytes, held++ * pageSize);
    if (held === gatheredPages) write();
  }
  write();
  const {
    base: _,
    disks,
    ...rest
  } = openDescription(source).description as {
    readonly [name: string]: Value;
  } & { readonly disks?: readonly SavedDisk[] };
  let end = next * pageSize;
  const copied = disks?.map((disk) => {
    const copy = copyDisk(disk, end);
    end = copy.end;
    return copy.saved;
  });
  const description = { ...rest, ...(copied && { disks: copied }) } as unknown as Value;
  const { header, tail } = encodeEnding(description, Uint32Array.from(words), end);
  sink.writeAt(end, tail);
  sink.writeAt(0, header);
  return { sizeBytes: end + tail.length, pages: words.length / 3 };
}
