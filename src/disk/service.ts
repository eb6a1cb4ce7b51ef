/** The block service: requests of a block device (devices/virtio/blk), done on a disk. */
import {
  type BlockRequest,
  blockOperation,
  blockStatus,
  type DiskConfig,
  type DiskFacts,
  decodeFreeze,
  decodeRequest,
  encodeAnswer,
  encodeFrozen,
  type HostFile,
  type IoService,
  type Place,
  type ServicePort,
} from "#devices";
import type { Disk } from "./disk.ts";
import { DiskError, type DiskHost } from "./file.ts";
import { freeze } from "./frozen.ts";
import { filesBelow, openDisk } from "./open.ts";

/** Throws `DiskError` when there is no such disk. */
export function openBlockService(config: DiskConfig, port: ServicePort, host: DiskHost): IoService {
  return new BlockService(openDisk(config, host), config, port, host);
}

class BlockService implements IoService {
  readonly greeting: Uint8Array;
  readonly #disk: Disk;
  readonly #port: ServicePort;
  readonly #host: DiskHost;
  /** What is written never reaches it. */
  readonly #base: Disk | undefined;
  readonly #pending = new Set<Promise<void>>();

  constructor(disk: Disk, config: DiskConfig, port: ServicePort, host: DiskHost) {
    this.#disk = disk;
    this.#host = host;
    this.#base = baseOf(disk, config);
    this.#port = port;
    const { sizeBytes, readOnly, physicalBlockBytes, hostFile: file } = disk;
    const below = filesBelow(this.#base).map((each) => ({ ...each, name: host.resolve("", each.name) }));
    const facts: DiskFacts = { sizeBytes, readOnly, physicalBlockBytes, id: idOf(config.file), file, below };
    this.greeting = new TextEncoder().encode(JSON.stringify(facts));
  }

  receive(message: Uint8Array): void {
    const request = decodeRequest(message);
    try {
      if (request.operation === blockOperation.freeze) return this.#freeze(request, decodeFreeze(message));
      const result = this.#do(request);
      if (result instanceof Promise) this.#answerLater(request.tag, result);
      else this.#port.send(encodeAnswer(request.tag, blockStatus.done, this.#placeFor(request)));
    } catch (error) {
      this.#failed(request.tag, error);
    }
  }

  get isStill(): boolean {
    return this.#pending.size === 0;
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#pending);
    await this.#disk.flush();
    this.#disk.close();
  }

  #do({ operation, offset, length, pieces }: BlockRequest): void | Promise<void> {
    const { arena } = this.#port;
    const places = (): Uint8Array[] => pieces.map((piece) => arena.subarray(piece.hpa, piece.hpa + piece.length));
    switch (operation) {
      case blockOperation.read:
        return this.#disk.read(offset, places());
      case blockOperation.write:
        return this.#disk.write(offset, places());
      case blockOperation.flush:
        return this.#disk.flush();
      case blockOperation.discard:
        return this.#disk.discard(offset, length);
      default:
        return this.#disk.writeZeroes(offset, length, operation === blockOperation.writeZeroesUnmap);
    }
  }

  /** For the next requests like this one. */
  #placeFor({ operation, offset }: BlockRequest): Place | undefined {
    if (operation !== blockOperation.read && operation !== blockOperation.write) return undefined;
    try {
      return this.#disk.locate?.(offset);
    } catch (error) {
      // It lies near to what this request was about, and nobody has asked for it.
      if (error instanceof DiskError) return undefined;
      throw error;
    }
  }

  #freeze({ tag, offset }: BlockRequest, file: HostFile): void {
    const writer = this.#host.writer?.(file);
    if (writer === undefined) throw new DiskError("this host's threads have no files in common");
    const { index, end } = freeze(this.#disk, this.#base, writer, offset);
    this.#port.send(encodeFrozen(tag, index, end));
  }

  /** Others go on meanwhile. */
  #answerLater(tag: number, result: Promise<void>): void {
    const answered = result.then(
      () => this.#answer(tag, blockStatus.done),
      (error: unknown) => this.#failed(tag, error),
    );
    this.#pending.add(answered);
    void answered.finally(() => this.#pending.delete(answered));
  }

  #answer(tag: number, status: number): void {
    this.#port.send(encodeAnswer(tag, status));
  }

  /** The host's trouble is the guest's I/O error; anything else is a bug of ours. */
  #failed(tag: number, error: unknown): void {
    if (!(error instanceof DiskError)) throw error;
    this.#answer(tag, blockStatus.failed);
  }
}

/** The disk below what the guest writes to; of a disk that it does not write to, all of it. */
function baseOf(disk: Disk, { overlay, saved }: DiskConfig): Disk | undefined {
  if (disk.readOnly) return disk;
  if (saved !== undefined) return disk.below?.below;
  return overlay === undefined ? undefined : disk.below;
}

/** The end of the file's name, as far as a serial number can hold it. */
function idOf(file: string): string {
  const name = file.slice(Math.max(file.lastIndexOf("/"), file.lastIndexOf("\\")) + 1);
  return name.replace(/[^\x21-\x7e]/g, "_").slice(-20);
}
