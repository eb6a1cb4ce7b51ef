/**
 * Whether something that goes well mostly is worth trying. After a time in vain the next chance for it is passed by, then
 * three, then seven, up to `mostPassed`; after a time that went well none.
 */
const mostPassed = 1023;

export class Trial {
  #passed = 0;
  #toPass = 0;

  /** To be asked once for each chance. */
  get isDue(): boolean {
    if (this.#passed++ < this.#toPass) return false;
    this.#passed = 0;
    return true;
  }

  went(well: boolean): void {
    this.#toPass = well ? 0 : Math.min(mostPassed, 2 * this.#toPass + 1);
  }
}
