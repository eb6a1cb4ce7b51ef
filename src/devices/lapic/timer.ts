/**
 * The APIC timer: one-shot and periodic counts of a 1 GHz bus clock, and the TSC deadline.
 *
 * Law: an expiry is one call of `expired`, at or after its time. A periodic timer whose period passed several times
 * before the alarm rang expires once: a slow host loses ticks, as it would under any hypervisor.
 */
import type { Alarm, DeviceClock } from "../bus.ts";
import type { LapicState } from "./persist.ts";
import { lvtIndex, lvtMasked, timerMode } from "./registers.ts";

/** The time-stamp counter as its vCPU's RDTSC shows it. */
export interface TscSource {
  read(): bigint;
  /** Guest time in nanoseconds at which the counter reaches `tsc`; may lie in the past. */
  timeOf(tsc: bigint): number;
}

/** A counter that has run at `hz` since guest time 0. */
export function tscOf(clock: DeviceClock, hz: number): TscSource {
  const perNs = hz / 1e9;
  return {
    read: () => BigInt(Math.floor(clock.now() * perNs)),
    timeOf: (tsc) => Math.min(Math.ceil(Number(tsc) / perNs), Number.MAX_SAFE_INTEGER),
  };
}

/** Periodic interrupts come at most this often, whatever count the guest loads. */
const minPeriodNs = 10_000;

export class LapicTimer {
  readonly #state: LapicState;
  readonly #lvt: Uint32Array;
  readonly #clock: DeviceClock;
  readonly #tsc: TscSource;
  readonly #expired: () => void;
  readonly #alarm: Alarm;

  constructor(state: LapicState, clock: DeviceClock, tsc: TscSource, expired: () => void) {
    this.#state = state;
    this.#lvt = new Uint32Array(state.lvt.buffer);
    this.#clock = clock;
    this.#tsc = tsc;
    this.#expired = expired;
    this.#alarm = clock.alarm(() => this.#ring());
  }

  get mode(): number {
    return (this.#lvt[lvtIndex.timer] >> 17) & 3;
  }

  get currentCount(): number {
    const s = this.#state;
    if (s.initialCount === 0 || this.mode === timerMode.tscDeadline) return 0;
    const ticks = Math.floor((this.#clock.now() - s.timerStartNs) / this.#nsPerTick);
    if (this.mode === timerMode.periodic) return s.initialCount - (ticks % s.initialCount);
    return Math.max(s.initialCount - ticks, 0);
  }

  load(count: number): void {
    if (this.mode === timerMode.tscDeadline) return;
    this.#state.initialCount = count;
    this.#state.timerStartNs = this.#clock.now();
    this.#armCount();
  }

  setDivide(divide: number): void {
    const s = this.#state;
    const old = this.#nsPerTick;
    s.divide = divide & 0xb;
    if (s.initialCount === 0) return;
    // The count reached so far stays; it goes on at the new rate.
    const now = this.#clock.now();
    s.timerStartNs = now - Math.floor((now - s.timerStartNs) / old) * this.#nsPerTick;
    if (s.timerExpiryNs >= 0 && this.mode !== timerMode.tscDeadline) this.#armCount();
  }

  /** Writing LVT timer: to or from deadline mode disarms (SDM 3A, "TSC-Deadline Mode"). */
  setLvt(value: number): void {
    const wasDeadline = this.mode === timerMode.tscDeadline;
    this.#lvt[lvtIndex.timer] = value;
    const isDeadline = this.mode === timerMode.tscDeadline;
    if (wasDeadline !== isDeadline) this.disarm();
    else if (this.mode === timerMode.periodic && this.#state.initialCount !== 0) this.#armCount();
  }

  get deadline(): bigint {
    return this.mode === timerMode.tscDeadline ? this.#state.tscDeadline : 0n;
  }

  set deadline(tsc: bigint) {
    if (this.mode !== timerMode.tscDeadline) return;
    this.#state.tscDeadline = tsc;
    this.armDeadline();
  }

  /** Sets the alarm anew; also to be called when the counter was changed under a set deadline. */
  armDeadline(): void {
    if (this.mode !== timerMode.tscDeadline) return;
    if (this.#state.tscDeadline === 0n) {
      this.#arm(-1);
      return;
    }
    const at = this.#tsc.timeOf(this.#state.tscDeadline);
    if (at > this.#clock.now()) {
      this.#arm(at);
      return;
    }
    this.#fireDeadline();
  }

  disarm(): void {
    this.#state.initialCount = 0;
    this.#state.tscDeadline = 0n;
    this.#arm(-1);
  }

  /** After a restore: the alarm follows from the record. */
  rearm(): void {
    this.#arm(this.#state.timerExpiryNs);
  }

  get #nsPerTick(): number {
    const code = (this.#state.divide & 3) | ((this.#state.divide & 8) >> 1);
    return code === 7 ? 1 : 2 << code;
  }

  #armCount(): void {
    const s = this.#state;
    if (s.initialCount === 0) {
      this.#arm(-1);
      return;
    }
    const period = s.initialCount * this.#nsPerTick;
    if (this.mode === timerMode.oneShot) {
      this.#arm(s.timerStartNs + period);
      return;
    }
    // A masked periodic timer counts but wakes nobody.
    if ((this.#lvt[lvtIndex.timer] & lvtMasked) !== 0) {
      this.#arm(-1);
      return;
    }
    const earliest = this.#clock.now() + (period < minPeriodNs ? minPeriodNs : 1);
    this.#arm(s.timerStartNs + Math.ceil((earliest - s.timerStartNs) / period) * period);
  }

  #ring(): void {
    const s = this.#state;
    if (s.timerExpiryNs < 0) return;
    if (this.mode === timerMode.tscDeadline) {
      // The counter may have been set back meanwhile.
      if (this.#tsc.read() < s.tscDeadline) {
        this.#arm(Math.max(this.#deadlineNs(), this.#clock.now() + 1));
        return;
      }
      this.#fireDeadline();
      return;
    }
    if (this.mode === timerMode.periodic) this.#armCount();
    else this.#arm(-1);
    this.#expired();
  }

  #deadlineNs(): number {
    return this.#tsc.timeOf(this.#state.tscDeadline);
  }

  #fireDeadline(): void {
    this.#state.tscDeadline = 0n;
    this.#arm(-1);
    this.#expired();
  }

  #arm(atNs: number): void {
    this.#state.timerExpiryNs = atNs;
    this.#alarm.set(atNs < 0 ? undefined : atNs);
  }
}
