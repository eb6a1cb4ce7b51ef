/**
 * One 8259A (data sheet "8259A Programmable Interrupt Controller"): eight inputs, a mask, priorities, its output.
 *
 * Reads and writes only its nine bytes; the pair beside it wires outputs to inputs. MCS-80 mode is not there.
 */
import { picField as f, picFlag } from "./persist.ts";

export class PicChip {
  readonly #s: Uint8Array;
  readonly #isMaster: boolean;
  /** Inputs that may be level-triggered by ELCR. */
  readonly #elcrMask: number;

  constructor(bytes: Uint8Array, isMaster: boolean) {
    this.#s = bytes;
    this.#isMaster = isMaster;
    this.#elcrMask = isMaster ? 0xf8 : 0xde;
  }

  setLine(input: number, asserted: boolean): void {
    const s = this.#s;
    const bit = 1 << input;
    const was = (s[f.lines] & bit) !== 0;
    const level = (s[f.elcr] & bit) !== 0;
    s[f.lines] = asserted ? s[f.lines] | bit : s[f.lines] & ~bit;
    if (asserted && (level || !was)) s[f.irr] |= bit;
    // An edge whose line falls before the acknowledgement is withdrawn too; the CPU then gets input 7.
    else if (!asserted) s[f.irr] &= ~bit;
  }

  /** The input to be served now; -1: the output is low. */
  pendingInput(): number {
    const s = this.#s;
    const requests = s[f.irr] & ~s[f.imr];
    if (requests === 0) return -1;
    const priority = this.#rank(requests);
    let serving = s[f.isr];
    if ((s[f.flags] & picFlag.specialMask) !== 0) serving &= ~s[f.imr];
    // In the fully nested mode of a master, the slave's input may interrupt itself.
    if (this.#isMaster && (s[f.flags] & picFlag.specialFullyNested) !== 0) serving &= ~4;
    return priority < this.#rank(serving) ? (priority + s[f.first]) & 7 : -1;
  }

  /** INTA: takes `input` into service. */
  acknowledge(input: number): void {
    const s = this.#s;
    const bit = 1 << input;
    if ((s[f.flags] & picFlag.autoEoi) === 0) s[f.isr] |= bit;
    else if ((s[f.flags] & picFlag.rotateOnAutoEoi) !== 0) s[f.first] = (input + 1) & 7;
    if ((s[f.elcr] & bit) === 0) s[f.irr] &= ~bit;
  }

  vectorOf(input: number): number {
    return (this.#s[f.base] & 0xf8) | input;
  }

  get elcr(): number {
    return this.#s[f.elcr];
  }

  set elcr(value: number) {
    this.#s[f.elcr] = value & this.#elcrMask;
  }

  read(dataPort: boolean): number {
    const s = this.#s;
    if ((s[f.flags] & picFlag.poll) !== 0) return this.#poll();
    if (dataPort) return s[f.imr];
    return (s[f.flags] & picFlag.readIsr) !== 0 ? s[f.isr] : s[f.irr];
  }

  write(dataPort: boolean, value: number): void {
    if (dataPort) this.#writeData(value);
    else if ((value & 0x10) !== 0) this.#initialise(value);
    else if ((value & 0x08) !== 0) this.#writeOcw3(value);
    else this.#writeOcw2(value);
  }

  #poll(): number {
    this.#s[f.flags] &= ~picFlag.poll;
    const input = this.pendingInput();
    if (input < 0) return 0;
    this.acknowledge(input);
    return 0x80 | input;
  }

  #initialise(icw1: number): void {
    const s = this.#s;
    const elcr = s[f.elcr];
    const lines = s[f.lines];
    s.fill(0);
    s[f.elcr] = elcr;
    s[f.lines] = lines;
    s[f.irr] = lines & elcr;
    s[f.flags] = ((icw1 & 1) !== 0 ? picFlag.needIcw4 : 0) | ((icw1 & 2) !== 0 ? picFlag.single : 0);
    s[f.step] = 2;
  }

  #writeData(value: number): void {
    const s = this.#s;
    const flags = s[f.flags];
    const afterCascade = (flags & picFlag.needIcw4) !== 0 ? 4 : 0;
    switch (s[f.step]) {
      case 2:
        s[f.base] = value & 0xf8;
        s[f.step] = (flags & picFlag.single) !== 0 ? afterCascade : 3;
        return;
      case 3:
        s[f.step] = afterCascade;
        return;
      case 4:
        if ((value & 2) !== 0) s[f.flags] |= picFlag.autoEoi;
        if ((value & 0x10) !== 0) s[f.flags] |= picFlag.specialFullyNested;
        s[f.step] = 0;
        return;
      default:
        s[f.imr] = value;
    }
  }

  #writeOcw3(value: number): void {
    const s = this.#s;
    let flags = s[f.flags];
    if ((value & 0x04) !== 0) flags |= picFlag.poll;
    if ((value & 0x02) !== 0) flags = (value & 1) !== 0 ? flags | picFlag.readIsr : flags & ~picFlag.readIsr;
    if ((value & 0x40) !== 0) flags = (value & 0x20) !== 0 ? flags | picFlag.specialMask : flags & ~picFlag.specialMask;
    s[f.flags] = flags;
  }

  #writeOcw2(value: number): void {
    const s = this.#s;
    const named = value & 7;
    switch (value >> 5) {
      case 0:
        s[f.flags] &= ~picFlag.rotateOnAutoEoi;
        break;
      case 4:
        s[f.flags] |= picFlag.rotateOnAutoEoi;
        break;
      case 1:
      case 5: {
        const rank = this.#rank(s[f.isr]);
        if (rank === 8) break;
        const input = (rank + s[f.first]) & 7;
        s[f.isr] &= ~(1 << input);
        if (value >> 5 === 5) s[f.first] = (input + 1) & 7;
        break;
      }
      case 3:
        s[f.isr] &= ~(1 << named);
        break;
      case 6:
        s[f.first] = (named + 1) & 7;
        break;
      case 7:
        s[f.isr] &= ~(1 << named);
        s[f.first] = (named + 1) & 7;
        break;
      default:
        break;
    }
  }

  /** How far from the highest priority the most urgent of `inputs` is; 8 for none. */
  #rank(inputs: number): number {
    if (inputs === 0) return 8;
    const first = this.#s[f.first] & 7;
    for (let rank = 0; rank < 8; rank++) if ((inputs & (1 << ((rank + first) & 7))) !== 0) return rank;
    return 8;
  }
}
