/**
 * Takes cold pages away from a guest before anybody needs their frames, and others where it has more frames than it may have.
 *
 * Proactively, as in "Software-Defined Far Memory in Warehouse-Scale Computers" (Lagar-Cavilla et al., ASPLOS 2019): pages that were not
 * used for some age go; the age is the lowest at which those that would have had to come back in the last minute are no more
 * than a part of the working set. Since pages go on aging while they are away, each one that comes back raises the age.
 */
import type { AddressSpace } from "./address-space.ts";
import { oldestAge, type PageAges } from "./page-ages.ts";

export interface ReclaimOptions {
  /** Take what is cold, though there is no limit to keep. */
  readonly proactive: boolean;
  /** Frames that the guest may have. */
  readonly limitFrames?: number;
}

/** none: there are frames enough. some: pages are taken that are not cold. full: more frames than allowed, and no page to take. */
export type Pressure = "none" | "some" | "full";

export interface ReclaimStats {
  /** In scans; undefined while too little is known. */
  readonly coldAge: number | undefined;
  /** Pages that were used again in the last minute after that long or longer. */
  readonly promotionsPerMinute: number;
  /** Pages used in the last minute. */
  readonly workingSet: number;
  readonly pressure: Pressure;
}

/** 0.2 % of the working set a minute. */
const promotionTarget = 0.002;
const scansPerMinute = 60;
/** What was used so recently is not cold, however few come back. */
const youngestCold = 60;
/** Pages at a time: a vCPU waits for them. */
const batch = 64;
/** Below the limit, so that the next page does not call at once. */
const marginPart = 1 / 64;

export class Reclaimer {
  readonly #space: AddressSpace;
  readonly #ages: PageAges;
  readonly #options: ReclaimOptions;
  /** Of the last minute, by age: pages used again. What is older counts less. */
  readonly #again = new Float64Array(oldestAge + 1);
  #coldAge: number | undefined;
  #workingSet = 0;
  /** Cold pages to take. */
  #cold: number[] = [];
  #pressure: Pressure = "none";

  /** `ages` are scanned each second. */
  constructor(space: AddressSpace, ages: PageAges, options: ReclaimOptions) {
    this.#space = space;
    this.#ages = ages;
    this.#options = options;
  }

  get stats(): ReclaimStats {
    return {
      coldAge: this.#coldAge,
      promotionsPerMinute: this.#coldAge === undefined ? 0 : this.#promotionsFrom(this.#coldAge),
      workingSet: this.#workingSet,
      pressure: this.#pressure,
    };
  }

  /** `again`: what the scan gave. */
  scanned(again: Uint32Array): void {
    const decay = Math.exp(-1 / scansPerMinute);
    for (let age = 0; age <= oldestAge; age++) this.#again[age] = this.#again[age] * decay + again[age];
    const histogram = this.#ages.histogram();
    this.#workingSet = histogram.subarray(0, scansPerMinute).reduce((sum, count) => sum + count, 0);
    this.#coldAge = this.#ages.scans < youngestCold ? undefined : this.#chooseAge();
    this.#cold = this.#options.proactive && this.#coldAge !== undefined ? this.#pagesFrom(this.#coldAge) : [];
  }

  /** Takes some of what is to go, in a time that a guest does not notice; how many went. */
  work(): number {
    const over = this.#framesOver();
    if (over > 0) return this.#takeOver(over);
    this.#pressure = "none";
    return this.#take(this.#cold.splice(-batch).filter((gfn) => !this.#space.wasUsed(gfn)));
  }

  /** Frames that are too many; 0 where there is no limit. */
  #framesOver(): number {
    const { limitFrames } = this.#options;
    if (limitFrames === undefined || this.#space.framesTouched <= limitFrames) return 0;
    return this.#space.framesTouched - limitFrames + Math.ceil(limitFrames * marginPart);
  }

  /** The oldest pages first, those that were used since the last scan at the very last. */
  #takeOver(over: number): number {
    let taken = 0;
    for (const unused of [true, false]) {
      if (taken >= over) break;
      const pages = this.#oldest(over, unused);
      for (let at = 0; at < pages.length && taken < over; at += batch) taken += this.#take(pages.slice(at, at + batch));
    }
    this.#pressure = taken > 0 ? "some" : "full";
    return taken;
  }

  /** Pages with frames, oldest first, somewhat more than `count`. `unused`: since the last scan. */
  #oldest(count: number, unused: boolean): number[] {
    const byAge: number[][] = [];
    this.#space.forEachPage((gfn, frame) => {
      if (frame === 0 || (unused && this.#space.wasUsed(gfn))) return;
      const age = this.#ages.ageOf(gfn);
      byAge[age] ??= [];
      byAge[age].push(gfn);
    });
    const pages: number[] = [];
    for (let age = oldestAge; age >= 0 && pages.length < count; age--) pages.push(...(byAge[age] ?? []));
    return pages;
  }

  #take(gfns: readonly number[]): number {
    return gfns.length === 0 ? 0 : this.#space.evict(gfns);
  }

  #chooseAge(): number {
    const allowed = promotionTarget * this.#workingSet;
    let age = oldestAge;
    for (let promotions = this.#again[age]; age > youngestCold; age--) {
      promotions += this.#again[age - 1];
      if (promotions > allowed) break;
    }
    return age;
  }

  #promotionsFrom(age: number): number {
    return this.#again.subarray(age).reduce((sum, count) => sum + count, 0);
  }

  /** With a frame, and not used since the scan. */
  #pagesFrom(age: number): number[] {
    const pages: number[] = [];
    this.#space.forEachPage((gfn, frame) => {
      if (frame !== 0 && this.#ages.ageOf(gfn) >= age) pages.push(gfn);
    });
    return pages;
  }
}
