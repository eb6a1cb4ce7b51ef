/** A file for snapshots that is memory. */
import type { SnapshotSink } from "#snapshot";

export function memorySink(): { readonly sink: SnapshotSink; readonly bytes: () => Uint8Array<ArrayBuffer> } {
  let file = new Uint8Array(0);
  const writeAt = (offset: number, bytes: Uint8Array): void => {
    if (offset + bytes.length > file.length) {
      const longer = new Uint8Array(offset + bytes.length);
      longer.set(file);
      file = longer;
    }
    file.set(bytes, offset);
  };
  return { sink: { writeAt }, bytes: () => file };
}
