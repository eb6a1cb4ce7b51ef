/** A new qcow2 file, version 3: header, refcount table, one refcount block, and an empty L1 table. */
import type { DiskFile } from "../file.ts";
import { encodeHeader, type Qcow2Header } from "./header.ts";

const clusterBits = 16;
const clusterBytes = 1 << clusterBits;

export interface NewQcow2 {
  readonly sizeBytes: number;
  readonly backing?: Qcow2Header["backing"];
}

/** Requires: the file is empty. */
export function createQcow2(file: DiskFile, { sizeBytes, backing }: NewQcow2): void {
  const l1Entries = Math.ceil(sizeBytes / (clusterBytes * (clusterBytes / 8)));
  const l1Clusters = Math.ceil((8 * l1Entries) / clusterBytes);
  const used = 3 + l1Clusters;
  const refcountBlock = new DataView(new ArrayBuffer(clusterBytes));
  for (let cluster = 0; cluster < used; cluster++) refcountBlock.setUint16(2 * cluster, 1);
  const refcountTable = new DataView(new ArrayBuffer(clusterBytes));
  refcountTable.setUint32(4, 2 * clusterBytes);
  file.write(clusterBytes, new Uint8Array(refcountTable.buffer), new Uint8Array(refcountBlock.buffer));
  file.resize(used * clusterBytes);
  file.write(
    0,
    encodeHeader({
      version: 3,
      clusterBits,
      sizeBytes,
      l1Entries,
      l1Offset: 3 * clusterBytes,
      refcountTableOffset: clusterBytes,
      refcountTableClusters: 1,
      refcountOrder: 4,
      backing,
    }),
  );
  file.flush();
}
