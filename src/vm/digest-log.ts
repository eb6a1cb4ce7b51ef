/** A machine's digests at every so many instructions, each a line. */
import type { MachineDigest } from "./digest.ts";

export class DigestLog {
  readonly #every: bigint;
  readonly #take: () => MachineDigest;
  readonly #report: (line: string) => void;
  /** Retired instructions at which the next one is due. */
  #next: bigint;

  /** `every`: instructions; undefined: there are no digests. */
  constructor(every: number | undefined, take: () => MachineDigest, report: (line: string) => void) {
    this.#every = BigInt(every ?? 0);
    this.#next = this.#every;
    this.#take = take;
    this.#report = report;
  }

  /** How many instructions a slice may have that begins after `icount`, which is at most `most`. */
  limit(icount: bigint, most: bigint): bigint {
    const left = this.#next - icount;
    return left > 0n && left < most ? left : most;
  }

  /** The machine goes on from `icount` retired instructions. */
  goOnFrom(icount: bigint): void {
    if (this.#every !== 0n) this.#next = icount - (icount % this.#every) + this.#every;
  }

  /** A slice has ended at `icount` retired instructions. */
  look(icount: bigint): void {
    if (this.#every === 0n || icount < this.#next) return;
    this.goOnFrom(icount);
    const { cpu, memory, devices } = this.#take();
    this.#report(`${icount} cpu ${cpu} memory ${memory} devices ${devices}`);
  }
}
