/**
 * A file that a service has open and lends to its device: what the host has in memory is copied in less time than it takes to wake
 * another thread for it, and be woken. How much at a time is the device's to say.
 *
 * Law: the machine's thread stands still for one slow transfer in a thousand at most, where they are slow. (A transfer that took
 * long shows that the host had to wait for something; the next ones are left to the service, ever more of them.)
 */
import { Trial } from "./trial.ts";

/** A host whose threads all know an open file by the same number. */
export interface SharedFiles {
  /** Fills the pieces, one after the other, from `offset` on; how many bytes there were. Undefined where the host did not do it. */
  read(file: number, offset: number, pieces: Uint8Array[]): number | undefined;
  write(file: number, offset: number, pieces: Uint8Array[]): number | undefined;
  /** Nanoseconds. */
  now(): number;
}

/** So long a transfer takes at most of a host that has the data in memory, and is busy with other things, too. */
const slowNs = 100_000;
const slowNsPerByte = 1;

export class LentFile {
  readonly #files: SharedFiles;
  readonly #file: number;
  readonly #trial = new Trial();

  constructor(files: SharedFiles, file: number) {
    this.#files = files;
    this.#file = file;
  }

  /** Whether something may be read or written here now. To be asked once before each transfer. */
  get isQuick(): boolean {
    return this.#trial.isDue;
  }

  /** How many bytes there were; undefined where it is the service's to do after all. */
  read(offset: number, pieces: Uint8Array[]): number | undefined {
    return this.#timed(pieces, () => this.#files.read(this.#file, offset, pieces));
  }

  write(offset: number, pieces: Uint8Array[]): number | undefined {
    return this.#timed(pieces, () => this.#files.write(this.#file, offset, pieces));
  }

  #timed(pieces: readonly Uint8Array[], transfer: () => number | undefined): number | undefined {
    const from = this.#files.now();
    const done = transfer();
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    this.#trial.went(done !== undefined && this.#files.now() - from < slowNs + slowNsPerByte * bytes);
    return done;
  }
}
