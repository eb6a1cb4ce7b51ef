/**
 * Takes cold pages away from a guest before anybody needs their frames, and others where frames are short.
 *
 * Proactively, as in "Software-Defined Far Memory in Warehouse-Scale Computers" (Lagar-Cavilla et al., ASPLOS 2019): pages that were not
 * used for some age go; the age is the lowest at which those that would have had to come back in the last minute are no more
 * than a part of the working set. Since pages go on aging while they are away, each one that comes back raises the age.
 *
 * Where frames are short the oldest pages go first. When all have been used since the last scan, another scan gives each a second
 * chance: pages that are used again stay, as far as there are others.
 */
import type { AddressSpace } from "./address-space.ts";
import { MemoryObjectError } from "./backends/memory-object.ts";
import { oldestAge, type PageAges } from "./page-ages.ts";
import type { Pressure } from "./pressure.ts";

export interface ReclaimOptions {
  /** Take what is cold, though there is no limit to keep. */
  readonly proactive: boolean;
  /** Frames that the guest may have. */
  readonly limitFrames?: number;
}

export interface ReclaimStats {
  /** In seconds; undefined while too little is known. */
  readonly coldAge: number | undefined;
  /** Pages that were used again in the last minute after that long or longer. */
  readonly promotionsPerMinute: number;
  /** Pages used in the last minute. */
  readonly workingSet: number;
}

/** What a round of `work` came to. */
export interface Reclaimed {
  /** Pages that went. */
  readonly pages: number;
  /** What it took to free frames that are short. */
  readonly pressure: Pressure;
}

/** 0.2 % of the working set a minute. */
const promotionTarget = 0.002;
const minute = 60;
/** What was used so recently is not cold, however few come back. */
const youngestCold = 60;
/** Pages at a time: a vCPU waits for them. */
const batch = 64;
/** Looked for at a time. */
const fewestVictims = 1024;

export class Reclaimer {
  readonly #space: AddressSpace;
  readonly #ages: PageAges;
  /** Of the last minute, by age: pages used again. What is older counts less. */
  readonly #again = new Float64Array(oldestAge + 1);
  #coldAge: number | undefined;
  #workingSet = 0;
  /** Cold pages to take. */
  #cold: number[] = [];
  /** Pages to take where frames are short, the next one last. */
  #victims: number[] = [];
  #refusal: string | undefined;
  /** Take what is cold, though frames are not short. */
  proactive: boolean;

  constructor(space: AddressSpace, ages: PageAges, proactive: boolean) {
    this.#space = space;
    this.#ages = ages;
    this.proactive = proactive;
  }

  get stats(): ReclaimStats {
    return {
      coldAge: this.#coldAge,
      promotionsPerMinute: this.#coldAge === undefined ? 0 : this.#promotionsFrom(this.#coldAge),
      workingSet: this.#workingSet,
    };
  }

  /** Why the last page that was to go did not find a place. */
  get refusal(): string | undefined {
    return this.#refusal;
  }

  /** Scans the ages, `seconds` after the last time. */
  scan(seconds: number): void {
    this.#note(this.#ages.scan(seconds), seconds);
    this.#workingSet = this.#ages
      .histogram()
      .subarray(0, minute)
      .reduce((sum, count) => sum + count, 0);
    this.#coldAge = this.#ages.seconds < youngestCold ? undefined : this.#chooseAge();
    this.#cold = this.proactive && this.#coldAge !== undefined ? [...this.#ages.atLeast(this.#coldAge, true)] : [];
    this.#victims = [];
  }

  /** Takes some of what is cold, in a time that a guest does not notice; how many pages went. */
  takeCold(): number {
    return this.#take(this.#cold.splice(-batch));
  }

  /** Takes `count` pages, whatever their age; those that are used at the very last. */
  takeOldest(count: number): Reclaimed {
    this.#refusal = undefined;
    let pages = this.#takeVictims(count);
    let inUse = false;
    while (pages < count && this.#refusal === undefined) {
      if (!this.#findVictims(count - pages)) {
        if (inUse) break;
        inUse = true;
        this.#note(this.#ages.scan(0), 0);
        continue;
      }
      const taken = this.#takeVictims(count - pages);
      if (taken === 0) break;
      pages += taken;
    }
    return { pages, pressure: pages === 0 ? "critical" : inUse ? "high" : "some" };
  }

  /** Whether there are any. */
  #findVictims(count: number): boolean {
    this.#victims = this.#ages.oldest(Math.max(count, fewestVictims), true).reverse();
    return this.#victims.length > 0;
  }

  #takeVictims(count: number): number {
    let taken = 0;
    while (taken < count && this.#victims.length > 0) {
      taken += this.#take(this.#victims.splice(-Math.min(batch, count - taken)));
      if (this.#refusal !== undefined) break;
    }
    return taken;
  }

  /** Those that nobody has used since they were chosen. */
  #take(chosen: readonly number[]): number {
    this.#refusal = undefined;
    const gfns = chosen.filter((gfn) => !this.#space.wasUsed(gfn));
    const before = this.#space.swap.counts.out;
    try {
      this.#space.swap.evict(gfns);
    } catch (error) {
      if (!(error instanceof MemoryObjectError)) throw error;
      this.#refusal = error.message;
    }
    return this.#space.swap.counts.out - before;
  }

  #note(again: Uint32Array, seconds: number): void {
    const decay = Math.exp(-seconds / minute);
    for (let age = 0; age <= oldestAge; age++) this.#again[age] = this.#again[age] * decay + again[age];
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
}
