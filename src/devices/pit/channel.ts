/**
 * One counter of the 8254 (data sheet "8254 Programmable Interval Timer"), as functions of the time since it was
 * loaded: nothing counts while nobody looks.
 */
import { pitField as f, type PitState, pitFieldCount } from "./persist.ts";

export const pitHz = 1_193_182;

export const ticksIn = (ns: number): number => Math.floor((ns * pitHz) / 1e9);
/** The first nanosecond at which `ticks` have passed. */
export const nsOf = (ticks: number): number => Math.ceil((ticks * 1e9) / pitHz);

type CountField = "count0" | "count1" | "count2";
type StartField = "start0" | "start1" | "start2";

export class PitChannel {
  readonly #state: PitState;
  readonly #s: Uint8Array;
  readonly #count: CountField;
  readonly #start: StartField;

  constructor(state: PitState, n: 0 | 1 | 2) {
    this.#state = state;
    this.#s = state.channels.subarray(n * pitFieldCount, (n + 1) * pitFieldCount);
    this.#count = `count${n}`;
    this.#start = `start${n}`;
  }

  get mode(): number {
    return this.#s[f.mode];
  }

  get loaded(): boolean {
    return this.#s[f.nullCount] === 0;
  }

  /** Ticks of one period: 1 to 65536. */
  get period(): number {
    return this.#state[this.#count];
  }

  get startNs(): number {
    return this.#state[this.#start];
  }

  get gate(): boolean {
    return this.#s[f.gate] !== 0;
  }

  get periodic(): boolean {
    return this.mode === 2 || this.mode === 3;
  }

  control(value: number, now: number): void {
    const access = (value >> 4) & 3;
    if (access === 0) {
      this.#latchCount(now);
      return;
    }
    const s = this.#s;
    const mode = (value >> 1) & 7;
    s[f.mode] = mode > 5 ? mode - 4 : mode;
    s[f.bcd] = value & 1;
    s[f.access] = access;
    s[f.writeHigh] = 0;
    s[f.readHigh] = 0;
    s[f.latchLeft] = 0;
    s[f.statusLatched] = 0;
    s[f.nullCount] = 1;
  }

  /** Read-back command: latches what it asks of this channel. */
  readBack(count: boolean, status: boolean, now: number): void {
    if (count) this.#latchCount(now);
    if (status && this.#s[f.statusLatched] === 0) {
      const s = this.#s;
      s[f.status] =
        (this.output(now) ? 0x80 : 0) | (s[f.nullCount] << 6) | (s[f.access] << 4) | (s[f.mode] << 1) | s[f.bcd];
      s[f.statusLatched] = 1;
    }
  }

  /** True when this byte completed a count, and so (re)started the counter. */
  write(byte: number, now: number): boolean {
    const s = this.#s;
    if (s[f.access] === 1) return this.#load(byte, now);
    if (s[f.access] === 2) return this.#load(byte << 8, now);
    if (s[f.writeHigh] === 0) {
      s[f.writeLatch] = byte;
      s[f.writeHigh] = 1;
      return false;
    }
    s[f.writeHigh] = 0;
    return this.#load(s[f.writeLatch] | (byte << 8), now);
  }

  read(now: number): number {
    const s = this.#s;
    if (s[f.statusLatched] !== 0) {
      s[f.statusLatched] = 0;
      return s[f.status];
    }
    if (s[f.latchLeft] !== 0) {
      const second = s[f.access] === 2 || (s[f.access] === 3 && s[f.latchLeft] === 1);
      s[f.latchLeft]--;
      return second ? s[f.latchHigh] : s[f.latchLow];
    }
    const count = this.#shown(now);
    if (s[f.access] === 1) return count & 0xff;
    if (s[f.access] === 2) return count >> 8;
    s[f.readHigh] ^= 1;
    return s[f.readHigh] !== 0 ? count & 0xff : count >> 8;
  }

  /** The gate input. A rising edge restarts the modes that trigger on it. */
  setGate(level: boolean, now: number): void {
    const rose = level && !this.gate;
    this.#s[f.gate] = level ? 1 : 0;
    if (rose && this.mode !== 0 && this.mode !== 4) this.#state[this.#start] = now;
  }

  output(now: number): boolean {
    if (!this.loaded) return this.mode !== 0;
    const ticks = this.#ticks(now);
    const period = this.period;
    switch (this.mode) {
      case 0:
      case 1:
        return ticks >= period;
      case 2:
        return !this.gate || ticks % period !== period - 1;
      case 3:
        return !this.gate || ticks % period < (period + 1) >> 1;
      default:
        return ticks !== period;
    }
  }

  #ticks(now: number): number {
    // Without its gate, a level-gated mode stands still; where it stood is not kept.
    if (!this.gate && this.mode !== 1 && this.mode !== 5) return 0;
    return ticksIn(Math.max(now - this.startNs, 0));
  }

  #load(value: number, now: number): boolean {
    const count = this.#s[f.bcd] !== 0 ? fromBcd(value) : value;
    this.#state[this.#count] = count === 0 ? (this.#s[f.bcd] !== 0 ? 10_000 : 0x1_0000) : count;
    this.#state[this.#start] = now;
    this.#s[f.nullCount] = 0;
    return true;
  }

  #latchCount(now: number): void {
    const s = this.#s;
    if (s[f.latchLeft] !== 0) return;
    const count = this.#shown(now);
    s[f.latchLow] = count & 0xff;
    s[f.latchHigh] = count >> 8;
    s[f.latchLeft] = s[f.access] === 3 ? 2 : 1;
  }

  /** The counting element as a read shows it. */
  #shown(now: number): number {
    const period = this.period;
    const ticks = this.#ticks(now);
    let count: number;
    if (this.mode === 2) count = period - (ticks % period);
    else if (this.mode === 3) count = period - ((2 * ticks) % period);
    else count = period - ticks;
    const range = this.#s[f.bcd] !== 0 ? 10_000 : 0x1_0000;
    const wrapped = ((count % range) + range) % range;
    return this.#s[f.bcd] !== 0 ? toBcd(wrapped) : wrapped;
  }
}

const fromBcd = (value: number): number =>
  (value >> 12) * 1000 + ((value >> 8) & 15) * 100 + ((value >> 4) & 15) * 10 + (value & 15);
const toBcd = (value: number): number =>
  (Math.floor(value / 1000) << 12) |
  (Math.floor((value / 100) % 10) << 8) |
  (Math.floor((value / 10) % 10) << 4) |
  (value % 10);
