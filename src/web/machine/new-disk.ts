/** A new disk for the browser to keep: a qcow2 file with an empty ext4 file system, so that the guest can mount it at once. */
import { type Disk, newDisk } from "#disk";
import { DiskTree, writeExt4 } from "#images";
import { MemoryFile } from "./memory-file.ts";

/** A whole cluster of the qcow2 file is written at once. */
const clusterBytes = 65536;

/** Requires: a whole number of GiB. */
export async function emptyDisk(name: string, sizeBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const file = new MemoryFile(name);
  const disk = newDisk(file, sizeBytes);
  const made = Math.floor(Date.now() / 1000);
  const tree = new DiskTree();
  tree.folder("/", { modified: made });
  const clusters = new Clusters();
  const uuid = crypto.getRandomValues(new Uint8Array(16));
  await writeExt4(tree, sizeBytes, { uuid, label: "memvisor", made }, clusters);
  clusters.writeTo(disk);
  await disk.flush();
  disk.close();
  return file.bytes;
}

/** What is written here and there, until it is written in whole clusters. */
class Clusters {
  readonly #clusters = new Map<number, Uint8Array>();

  async writeAt(offset: number, bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const at = offset + done;
      const inCluster = at % clusterBytes;
      const piece = bytes.subarray(done, done + clusterBytes - inCluster);
      this.#cluster(Math.floor(at / clusterBytes)).set(piece, inCluster);
      done += piece.length;
    }
  }

  writeTo(disk: Disk): void {
    for (const [index, bytes] of this.#clusters) {
      if (bytes.some((byte) => byte !== 0)) disk.write(index * clusterBytes, [bytes]);
    }
  }

  #cluster(index: number): Uint8Array {
    let cluster = this.#clusters.get(index);
    if (cluster === undefined) this.#clusters.set(index, (cluster = new Uint8Array(clusterBytes)));
    return cluster;
  }
}
