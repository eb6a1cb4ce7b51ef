/**
 * How long ago each page was used, in seconds: a scan harvests the accessed log, and what was not used since the last one is as much
 * older as has passed between the two. Pages that are only in their memory object have an age, too.
 *
 * What it tells of the pages that are used again after a time answers how many would have to come back if all of that age were
 * taken away (Lagar-Cavilla et al., "Software-Defined Far Memory in Warehouse-Scale Computers", ASPLOS 2019).
 */

/** Of what was not used for as long or longer. */
export const oldestAge = 255;

/** Pages by age. */
export interface AgeCounts {
  /** Those that were used again after that long. */
  readonly again: Uint32Array;
  /** Those that have a frame. */
  readonly held: Uint32Array;
}

/** What is asked of an address space. */
export interface AgedSpace {
  beginAges(): void;
  agePages(step: number): AgeCounts;
  ageOf(gfn: number): number;
  agedPages(gfn: number, age: number, unused: boolean): { readonly gfns: Int32Array; readonly next: number };
  readonly framesTouched: number;
}

export class PageAges {
  readonly #space: AgedSpace;
  #held: Uint32Array = new Uint32Array(oldestAge + 1);
  #seconds = 0;

  /** Everything is as if it had been used now. One at a time of an address space. */
  constructor(space: AgedSpace) {
    this.#space = space;
    space.beginAges();
    this.#held[0] = space.framesTouched;
  }

  /** Between the first scan and the last one, and a scan's before it. */
  get seconds(): number {
    return this.#seconds;
  }

  ageOf(gfn: number): number {
    return this.#space.ageOf(gfn);
  }

  /** Notes what was used in the `seconds` since the last scan: of the pages that were used again, how many had which age. */
  scan(seconds = 1): Uint32Array {
    const { again, held } = this.#space.agePages(seconds);
    this.#held = held;
    this.#seconds += seconds;
    return again;
  }

  /** How many pages that had a frame at the last scan are of each age. */
  histogram(): Uint32Array {
    return this.#held;
  }

  /** About `count` pages with frames of their own, oldest first. `unused`: since the last scan. */
  oldest(count: number, unused: boolean): number[] {
    let least = oldestAge;
    for (let older = this.#held[least]; least > 0 && older < count; ) older += this.#held[--least];
    const byAge: number[][] = [];
    for (const gfn of this.atLeast(least, unused)) {
      const age = this.ageOf(gfn);
      byAge[age] ??= [];
      byAge[age].push(gfn);
    }
    return byAge.reverse().flat().slice(0, count);
  }

  /** Pages with frames of their own, as old as that or older. */
  *atLeast(age: number, unused: boolean): Generator<number> {
    for (let gfn = 0, more = true; more; ) {
      const { gfns, next } = this.#space.agedPages(gfn, age, unused);
      yield* gfns;
      more = gfns.length > 0;
      gfn = next;
    }
  }
}
