/**
 * vCPUs that one thread runs in turn.
 *
 * A turn ends after `turnInstructions`, at HLT, and when the running vCPU signals another one (it will soon wait for the
 * answer). While all others sleep there is no end to a turn.
 *
 * Law: whose turn it is follows from the vCPUs' states at moments of guest time that every run has in common; slices cut
 * shorter than that (for a digest, by chaos) change nothing. So a run in virtual time is the same run with any number of vCPUs.
 */
import { Halted, type Vcpu } from "#vcpu";

/** Short, because who spins for an answer spins to the end of its turn. */
const turnInstructions = 20_000n;
/** No block of translated code has as many instructions. */
const longestBlock = 512n;
const never = 2n ** 63n - 1n;

export type TurnsState = { readonly current: number; readonly end: bigint; readonly idle: number };

export class Turns {
  readonly #vcpus: readonly Vcpu[];
  readonly #slack: bigint;
  readonly #hasWork: (cpu: number) => boolean;
  #current = 0;
  /** ICOUNT of the current vCPU at which its turn is over. */
  #end = never;
  /** vCPUs in a row that had nothing to do. */
  #idle = 0;

  /**
   * `exact`: slices end where they should, not up to a block before it. `hasWork`: an interrupt or signal could end that vCPU's
   * sleep.
   */
  constructor(vcpus: readonly Vcpu[], exact: boolean, hasWork: (cpu: number) => boolean) {
    this.#vcpus = vcpus;
    this.#slack = exact ? 0n : longestBlock;
    this.#hasWork = hasWork;
  }

  get current(): number {
    return this.#current;
  }

  get vcpu(): Vcpu {
    return this.#vcpus[this.#current];
  }

  /** The latest end, as an ICOUNT of the current vCPU, of a slice that begins now. */
  sliceEnd(): bigint {
    if (this.#vcpus.length > 1 && this.#end === never && this.#othersWork()) {
      this.#end = this.vcpu.u64("ICOUNT") + turnInstructions;
    }
    return this.#end;
  }

  /** The current vCPU stopped short of HLT; `gaveWay`: it signalled another one. */
  ran(gaveWay: boolean): void {
    this.#idle = 0;
    if (gaveWay || this.vcpu.u64("ICOUNT") + this.#slack >= this.#end) this.#next();
  }

  /** The current vCPU sleeps. True when all do: then time may pass. */
  slept(): boolean {
    this.#next();
    this.#idle++;
    if (this.#idle < this.#vcpus.length) return false;
    this.#idle = 0;
    return true;
  }

  save(): TurnsState {
    return { current: this.#current, end: this.#end, idle: this.#idle };
  }

  restore(state: TurnsState): void {
    this.#current = state.current % this.#vcpus.length;
    this.#end = state.end;
    this.#idle = state.idle;
  }

  #next(): void {
    this.#current = (this.#current + 1) % this.#vcpus.length;
    this.#end = never;
  }

  #othersWork(): boolean {
    return this.#vcpus.some(
      (vcpu, cpu) => cpu !== this.#current && (vcpu.u32("HALTED") === Halted.no || this.#hasWork(cpu)),
    );
  }
}
