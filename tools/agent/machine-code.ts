/** Bytes of x86-64 code as they are written, with labels. */
export interface Label {
  at: number | undefined;
  readonly uses: number[];
}

export class MachineCode {
  #bytes = new Uint8Array(1 << 16);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  bytes(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  emit(...bytes: readonly number[]): void {
    if (this.#length + bytes.length > this.#bytes.length) {
      const larger = new Uint8Array(this.#bytes.length * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  word(value: number): void {
    this.emit(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, (value >>> 24) & 0xff);
  }

  /** An instruction whose last operand is the distance to `label`, 32 bits. */
  jump(opcode: readonly number[], label: Label): void {
    this.emit(...opcode);
    label.uses.push(this.#length);
    this.word(0);
    if (label.at !== undefined) this.#patch(this.#length - 4, label.at);
  }

  place(label: Label): void {
    label.at = this.#length;
    for (const use of label.uses) this.#patch(use, label.at);
  }

  #patch(use: number, target: number): void {
    new DataView(this.#bytes.buffer).setInt32(use, target - use - 4, true);
  }
}

export const newLabel = (): Label => ({ at: undefined, uses: [] });
