/**
 * How long ago each page was used, counted in scans: a scan harvests the accessed log, and what was not used since the last one is
 * older by one. Pages that are only in their memory object have an age, too.
 *
 * What it tells of the pages that are used again after a time answers how many would have to come back if all of that age were
 * taken away (Lagar-Cavilla et al., "Software-Defined Far Memory in Warehouse-Scale Computers", ASPLOS 2019).
 */
import { gfnOf, pageSize } from "#address";
import type { AddressSpace } from "./address-space.ts";
import { entryFlags } from "./arena-layout.ts";

/** Of what was not used for as many scans or more. */
export const oldestAge = 255;

export class PageAges {
  readonly #space: AddressSpace;
  /** By guest frame number. What is no page has age 0. */
  #ages: Uint8Array;
  #before: Uint8Array;
  #scans = 0;

  /** Everything is as if it had been used now. */
  constructor(space: AddressSpace) {
    this.#space = space;
    const end = Math.max(...space.memslots.map((slot) => gfnOf(slot.gpa) + slot.sizeBytes / pageSize));
    this.#ages = new Uint8Array(end);
    this.#before = new Uint8Array(end);
    space.harvest(entryFlags.E_ACCESSED);
  }

  /** Scans so far. */
  get scans(): number {
    return this.#scans;
  }

  /** In scans. */
  ageOf(gfn: number): number {
    return this.#ages[gfn];
  }

  /** Notes what was used since the last scan: of the pages that were used again, how many had which age. */
  scan(): Uint32Array {
    const used = this.#space.harvest(entryFlags.E_ACCESSED);
    const ages = this.#before.fill(0);
    const before = this.#ages;
    const again = new Uint32Array(oldestAge + 1);
    this.#space.forEachPage((gfn) => {
      if (used.has(gfn)) again[before[gfn]]++;
      else ages[gfn] = Math.min(before[gfn] + 1, oldestAge);
    });
    this.#ages = ages;
    this.#before = before;
    this.#scans++;
    return again;
  }

  /** How many pages that have a frame are of each age. */
  histogram(): Uint32Array {
    const counts = new Uint32Array(oldestAge + 1);
    this.#space.forEachPage((gfn, frame) => {
      if (frame !== 0) counts[this.#ages[gfn]]++;
    });
    return counts;
  }
}
