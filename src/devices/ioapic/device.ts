/**
 * The I/O APIC: 24 pins, each with an entry that says which message it becomes.
 *
 * A level-triggered pin sends once and then waits, its remote IRR set, until the vector is ended; if the pin is still
 * asserted then, it sends again. An edge on a masked pin is lost. Lines arrive as "asserted", so the polarity bit is
 * kept but means nothing here.
 */
import type { AccessSize, MmioDevice } from "../bus.ts";
import { copyState, restoreState, type Stateful } from "../state.ts";
import { type IoapicState, newIoapicState, pinCount } from "./persist.ts";

/** Where messages go; see `ApicBus.deliver`. */
export type DeliverMessage = (
  destination: number,
  logical: boolean,
  mode: number,
  vector: number,
  level: boolean,
) => boolean;

const registerSelect = 0x00;
const registerWindow = 0x10;
const registerEoi = 0x40;

const indexId = 0;
const indexVersion = 1;
const indexArbitration = 2;
const indexRedirection = 0x10;

/** Version 0x20 (has an EOI register), 24 entries. */
const versionValue = ((pinCount - 1) << 16) | 0x20;

// Fields of a redirection entry's low word.
const logicalBit = 1 << 11;
const remoteIrr = 1 << 14;
const levelBit = 1 << 15;
const maskBit = 1 << 16;
/** Delivery status and remote IRR are read-only. */
const writable = 0x1_afff;

const modeExtInt = 7;

export class Ioapic implements MmioDevice, Stateful<IoapicState> {
  readonly #state: IoapicState = newIoapicState();
  readonly #words = new Uint32Array(this.#state.redirection.buffer);
  readonly #deliver: DeliverMessage;

  constructor(deliver: DeliverMessage) {
    this.#deliver = deliver;
  }

  setLine(pin: number, asserted: boolean): void {
    if (pin < 0 || pin >= pinCount) return;
    const bit = 1 << pin;
    const was = (this.#state.lines & bit) !== 0;
    if (was === asserted) return;
    this.#state.lines = (asserted ? this.#state.lines | bit : this.#state.lines & ~bit) >>> 0;
    if (asserted) this.#send(pin);
  }

  /** A level-triggered vector was ended on some CPU. */
  endOfInterrupt(vector: number): void {
    for (let pin = 0; pin < pinCount; pin++) {
      const low = this.#words[2 * pin];
      if ((low & remoteIrr) === 0 || (low & 0xff) !== vector) continue;
      this.#words[2 * pin] = low & ~remoteIrr;
      this.#resendLevel(pin);
    }
  }

  readMmio(offset: number, size: AccessSize): number {
    const register = offset & 0xfc;
    const value = register === registerSelect ? this.#state.select : register === registerWindow ? this.#read() : 0;
    return size === 4 ? value : value >>> (8 * (offset & 3));
  }

  writeMmio(offset: number, _size: AccessSize, value: number): void {
    if (offset === registerSelect) this.#state.select = value & 0xff;
    else if (offset === registerWindow) this.#write(value);
    else if (offset === registerEoi) this.endOfInterrupt(value & 0xff);
  }

  save(): IoapicState {
    return copyState(this.#state);
  }

  restore(saved: IoapicState): void {
    restoreState(this.#state, saved);
  }

  #read(): number {
    const index = this.#state.select;
    if (index === indexId || index === indexArbitration) return (this.#state.id << 24) >>> 0;
    if (index === indexVersion) return versionValue;
    const word = index - indexRedirection;
    return word >= 0 && word < 2 * pinCount ? this.#words[word] : 0;
  }

  #write(value: number): void {
    const index = this.#state.select;
    if (index === indexId) this.#state.id = (value >>> 24) & 0xf;
    const word = index - indexRedirection;
    if (word < 0 || word >= 2 * pinCount) return;
    if ((word & 1) !== 0) {
      this.#words[word] = value & 0xff00_0000;
      return;
    }
    const pin = word >> 1;
    const old = this.#words[word];
    // A pin turned to edge forgets that it waited for an end of interrupt: so Linux clears a stuck one.
    const kept = (value & levelBit) !== 0 ? old & remoteIrr : 0;
    this.#words[word] = (value & writable) | kept;
    this.#resendLevel(pin);
  }

  #resendLevel(pin: number): void {
    if ((this.#words[2 * pin] & levelBit) !== 0) this.#send(pin);
  }

  #send(pin: number): void {
    const low = this.#words[2 * pin];
    const level = (low & levelBit) !== 0;
    if ((low & maskBit) !== 0 || (this.#state.lines & (1 << pin)) === 0 || (level && (low & remoteIrr) !== 0)) return;
    const mode = (low >> 8) & 7;
    if (mode === modeExtInt) return;
    const id = this.#words[2 * pin + 1] >>> 24;
    const logical = (low & logicalBit) !== 0;
    // Remote IRR first: delivery may end in an acknowledgement before it returns.
    if (level) this.#words[2 * pin] = low | remoteIrr;
    const taken = this.#deliver(!logical && id === 0xff ? 0xffff_ffff : id, logical, mode, low & 0xff, level);
    if (level && !taken) this.#words[2 * pin] &= ~remoteIrr;
  }
}
