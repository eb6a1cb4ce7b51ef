/** Root disks as files: what is put into them kept in one file until they are written, and the writing itself. */
import { createHash } from "node:crypto";
import { type FileHandle, open, rm } from "node:fs/promises";
import { type Content, type DiskTree, type Keep, writeExt4 } from "#images";

const pieceSize = 1 << 20;

/** Files of a tree, one behind the other in a file that is gone with this. */
export class Spool implements AsyncDisposable {
  readonly #path: string;
  readonly #file: FileHandle;
  #end = 0;

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  static async at(path: string): Promise<Spool> {
    return new Spool(path, await open(path, "w+"));
  }

  readonly keep: Keep = async (body, sizeBytes) => {
    const start = this.#end;
    for await (const piece of body) {
      await this.#file.write(piece, 0, piece.length, this.#end);
      this.#end += piece.length;
    }
    return this.#contentAt(start, sizeBytes);
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
    await rm(this.#path, { force: true });
  }

  #contentAt(start: number, sizeBytes: number): Content {
    const file = this.#file;
    return {
      sizeBytes,
      async *read() {
        for (let at = 0; at < sizeBytes; ) {
          const piece = new Uint8Array(Math.min(pieceSize, sizeBytes - at));
          const { bytesRead } = await file.read(piece, 0, piece.length, start + at);
          if (bytesRead === 0) throw new Error("what was put away for a disk is no longer there");
          at += bytesRead;
          yield piece.subarray(0, bytesRead);
        }
      },
    };
  }
}

/** Writes a new disk. The same tree and name give the same bytes. */
export async function writeDisk(
  path: string,
  tree: DiskTree,
  sizeBytes: number,
  name: string,
  onBytes?: (count: number) => void,
): Promise<void> {
  const file = await open(path, "wx");
  try {
    await file.truncate(sizeBytes);
    const identity = {
      uuid: new Uint8Array(createHash("sha256").update(name).digest().subarray(0, 16)),
      label: "memvisor",
      made: tree.newest,
    };
    const sink = {
      writeAt: async (offset: number, bytes: Uint8Array) => void (await file.write(bytes, 0, bytes.length, offset)),
    };
    await writeExt4(tree, sizeBytes, identity, sink, onBytes);
    await file.sync();
  } finally {
    await file.close();
  }
}
