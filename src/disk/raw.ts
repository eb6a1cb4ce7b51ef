/** A raw disk: the file's bytes are the disk's. Where the file ends within a sector, zeros follow. */
import type { DiskFileFacts } from "#devices";
import type { Disk } from "./disk.ts";
import { type DiskFile, factsOf } from "./file.ts";
import type { DiskRange } from "./frozen.ts";

const sectorBytes = 512;
const zeros = new Uint8Array(256 << 10);
/** Less is written as zeros rather than punched: that costs the host a process. */
const leastPunch = 1 << 20;

export class RawDisk implements Disk {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly physicalBlockBytes = 4096;
  readonly #file: DiskFile;
  #punches = true;

  constructor(file: DiskFile, readOnly: boolean) {
    this.#file = file;
    this.readOnly = readOnly;
    this.sizeBytes = Math.ceil(file.sizeBytes / sectorBytes) * sectorBytes;
  }

  get hostFile(): number | undefined {
    return this.#file.hostFile;
  }

  read(offset: number, targets: readonly Uint8Array[]): void {
    this.#file.read(offset, ...targets);
  }

  write(offset: number, sources: readonly Uint8Array[]): void {
    this.#file.write(offset, ...sources);
  }

  flush(): Promise<void> {
    return this.#file.flushLater();
  }

  async discard(offset: number, length: number): Promise<void> {
    if (length > 0 && this.#punches) this.#punches = await this.#file.punch(offset, length);
  }

  async writeZeroes(offset: number, length: number, unmap: boolean): Promise<void> {
    if (unmap && length >= leastPunch && this.#punches) {
      this.#punches = await this.#file.punch(offset, length);
      if (this.#punches) return;
    }
    for (let done = 0; done < length; done += zeros.length)
      this.#file.write(offset + done, zeros.subarray(0, Math.min(zeros.length, length - done)));
  }

  get files(): readonly DiskFileFacts[] {
    return [factsOf(this.#file)];
  }

  held(): Iterable<DiskRange> {
    return [{ offset: 0, length: this.sizeBytes }];
  }

  close(): void {
    this.#file.close();
  }
}
