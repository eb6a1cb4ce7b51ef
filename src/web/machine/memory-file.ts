/** A disk's file in memory: to make a new one, or to look at the first bytes of one that is elsewhere. */
import type { DiskFile } from "#disk";

export class MemoryFile implements DiskFile {
  readonly modifiedMs = 0;
  readonly name: string;
  #bytes: Uint8Array<ArrayBuffer>;
  #sizeBytes: number;

  constructor(name: string, bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0)) {
    this.name = name;
    this.#bytes = bytes;
    this.#sizeBytes = bytes.length;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** All of it, as it is now. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#sizeBytes);
  }

  read(offset: number, ...targets: readonly Uint8Array[]): void {
    let at = offset;
    for (const target of targets) {
      const there = this.bytes.subarray(at, at + target.length);
      target.set(there);
      target.fill(0, there.length);
      at += target.length;
    }
  }

  write(offset: number, ...sources: readonly Uint8Array[]): void {
    let at = offset;
    for (const source of sources) {
      this.#grow(at + source.length);
      this.#bytes.set(source, at);
      at += source.length;
    }
  }

  resize(sizeBytes: number): void {
    this.#bytes.fill(0, sizeBytes);
    if (sizeBytes < this.#sizeBytes) this.#sizeBytes = sizeBytes;
    else this.#grow(sizeBytes);
  }

  async punch(offset: number, length: number): Promise<boolean> {
    this.#bytes.fill(0, offset, offset + length);
    return true;
  }

  flush(): void {}
  async flushLater(): Promise<void> {}
  close(): void {}

  #grow(sizeBytes: number): void {
    if (sizeBytes > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(sizeBytes, 2 * this.#bytes.length));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#sizeBytes = Math.max(this.#sizeBytes, sizeBytes);
  }
}
