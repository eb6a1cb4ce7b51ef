/** Reads WebAssembly's binary encodings front to back. Past the end it reads zeros and `failed` says so; nothing throws. */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  at: number;
  failed = false;

  constructor(bytes: Uint8Array, from = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.at = from;
    this.#end = Math.min(end, bytes.length);
  }

  get left(): number {
    return this.#end - this.at;
  }

  byte(): number {
    if (this.at < this.#end) return this.#bytes[this.at++] as number;
    this.failed = true;
    return 0;
  }

  take(length: number): Uint8Array {
    if (length > this.left) this.failed = true;
    const from = this.at;
    this.at = Math.min(from + length, this.#end);
    return this.#bytes.subarray(from, this.at);
  }

  /** Unsigned LEB128 of 32 bits. */
  u32(): number {
    return Number(BigInt.asUintN(32, this.#leb(5, false)));
  }

  /** Signed LEB128 of 32 bits. */
  s32(): number {
    return Number(BigInt.asIntN(32, this.#leb(5, true)));
  }

  /** Signed LEB128 of 64 bits. */
  s64(): bigint {
    return BigInt.asIntN(64, this.#leb(10, true));
  }

  name(): string {
    return new TextDecoder().decode(this.take(this.u32()).slice());
  }

  /** Reads the part of the next `length` bytes on its own; this reader goes on behind it. */
  part(length: number): Reader {
    if (length > this.left) this.failed = true;
    const part = new Reader(this.#bytes, this.at, Math.min(this.at + length, this.#end));
    this.at += Math.min(length, this.left);
    return part;
  }

  #leb(longest: number, signed: boolean): bigint {
    let value = 0n;
    for (let n = 0; n < longest; n++) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << BigInt(7 * n);
      if ((byte & 0x80) !== 0) continue;
      return signed ? BigInt.asIntN(7 * n + 7, value) : value;
    }
    this.failed = true;
    return value;
  }
}
