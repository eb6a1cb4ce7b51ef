/**
 * Where the time goes, by tier: nobody can stop a clock between two regions, so it is told from many slices.
 *
 * Each slice says how many instructions each tier retired and how long that took together; least squares over all slices
 * give each tier's time for an instruction. It is an estimate, and zero for a tier that retired nothing to speak of.
 */
export interface TierTime {
  readonly interpretedMs: number;
  readonly compiledMs: number;
}

export class TierTimes {
  #interpreted = 0;
  #compiled = 0;
  #ns = 0;
  // Sums of products over the slices.
  #ii = 0;
  #ic = 0;
  #cc = 0;
  #in = 0;
  #cn = 0;

  add(interpreted: number, compiled: number, ns: number): void {
    this.#interpreted += interpreted;
    this.#compiled += compiled;
    this.#ns += ns;
    this.#ii += interpreted * interpreted;
    this.#ic += interpreted * compiled;
    this.#cc += compiled * compiled;
    this.#in += interpreted * ns;
    this.#cn += compiled * ns;
  }

  /** The whole time, divided between the tiers. */
  estimate(): TierTime {
    const totalMs = this.#ns / 1e6;
    const determinant = this.#ii * this.#cc - this.#ic * this.#ic;
    if (this.#compiled === 0 || determinant <= 0) return { interpretedMs: totalMs, compiledMs: 0 };
    const perInterpreted = Math.max(0, (this.#in * this.#cc - this.#cn * this.#ic) / determinant);
    const perCompiled = Math.max(0, (this.#cn * this.#ii - this.#in * this.#ic) / determinant);
    const a = perInterpreted * this.#interpreted;
    const b = perCompiled * this.#compiled;
    if (a + b === 0) return { interpretedMs: totalMs, compiledMs: 0 };
    return { interpretedMs: (totalMs * a) / (a + b), compiledMs: (totalMs * b) / (a + b) };
  }
}
