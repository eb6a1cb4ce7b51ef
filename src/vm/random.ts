/**
 * A generator of bytes from a seed (SplitMix64): the same seed, the same machine. Not for secrets.
 *
 * Law: its whole state is one number, so that a saved machine goes on with the bytes it would have got.
 */
export class SeededRandom {
  state: bigint;

  constructor(seed: number) {
    this.state = BigInt.asUintN(64, BigInt(Math.trunc(seed)));
  }

  fill(target: Uint8Array): void {
    let word = 0n;
    for (let n = 0; n < target.length; n++) {
      if (n % 8 === 0) word = this.#next();
      target[n] = Number(word & 0xffn);
      word >>= 8n;
    }
  }

  #next(): bigint {
    this.state = BigInt.asUintN(64, this.state + 0x9e3779b97f4a7c15n);
    let z = this.state;
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    return z ^ (z >> 31n);
  }
}
