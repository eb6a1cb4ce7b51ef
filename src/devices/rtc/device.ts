/**
 * The CMOS clock of a PC: an MC146818 with 128 bytes of memory, at ports 0x70 (index) and 0x71 (data).
 *
 * Time is the host's wall clock plus what the guest set; nothing ticks while nobody looks. Flags of register C are
 * computed when it is read, and alarms are set only for interrupts that the guest enabled in register B.
 */
import type { AccessSize, Alarm, DeviceClock, IrqLine, PortDevice } from "../bus.ts";
import { copyState, restoreState, type Stateful } from "../state.ts";
import { type CivilTime, civilOf, msOf } from "./calendar.ts";
import type { RtcState } from "./persist.ts";

const indexPort = 0x70; // and the data port after it
export const rtcPorts = [[indexPort, 2]] as const;

/** Registers (MC146818 data sheet); the century lies where the FADT says. */
const r = {
  second: 0,
  secondAlarm: 1,
  minute: 2,
  minuteAlarm: 3,
  hour: 4,
  hourAlarm: 5,
  weekday: 6,
  day: 7,
  month: 8,
  year: 9,
  a: 10,
  b: 11,
  c: 12,
  d: 13,
} as const;
export const centuryRegister = 0x32;

const aUpdateInProgress = 0x80;
const bSet = 0x80;
const bPeriodic = 0x40;
const bAlarm = 0x20;
const bUpdate = 0x10;
const bBinary = 0x04;
const b24Hour = 0x02;
const cIrq = 0x80;
const validRam = 0x80;

/** An update is announced this long before it happens. */
const updateNoticeMs = 0.244;

export class Rtc implements PortDevice, Stateful<RtcState> {
  readonly #state: RtcState;
  readonly #clock: DeviceClock;
  readonly #wallClock: () => number;
  readonly #irq: IrqLine;
  readonly #alarm: Alarm;

  /** `wallClock` gives milliseconds since 1970 UTC, with fractions if it has them. */
  constructor(clock: DeviceClock, wallClock: () => number, irq: IrqLine) {
    this.#clock = clock;
    this.#wallClock = wallClock;
    this.#irq = irq;
    const cmos = new Uint8Array(128);
    cmos[r.a] = 0x26;
    cmos[r.b] = b24Hour;
    this.#state = {
      index: 0,
      cmos,
      offsetMs: 0,
      frozenMs: -1,
      lastSecond: Math.floor(wallClock() / 1000),
      lastPeriodNs: clock.now(),
      alarmNs: -1,
    };
    this.#alarm = clock.alarm(() => this.#ring());
  }

  readPort(port: number, size: AccessSize): number {
    if (size !== 1 || port === indexPort) return 0xffff_ffff;
    return this.#read(this.#state.index & 0x7f);
  }

  writePort(port: number, _size: AccessSize, value: number): void {
    if (port === indexPort) this.#state.index = value & 0xff;
    else this.#write(this.#state.index & 0x7f, value & 0xff);
  }

  save(): RtcState {
    return copyState(this.#state);
  }

  restore(saved: RtcState): void {
    restoreState(this.#state, saved);
    this.#arm(this.#state.alarmNs);
  }

  get #nowMs(): number {
    const s = this.#state;
    return s.frozenMs >= 0 ? s.frozenMs : Math.max(this.#wallClock() + s.offsetMs, 0);
  }

  #read(register: number): number {
    const s = this.#state;
    const timeField = this.#timeField(register);
    if (timeField !== undefined) return timeField;
    switch (register) {
      case r.a:
        return s.cmos[r.a] | (this.#updating() ? aUpdateInProgress : 0);
      case r.c:
        return this.#readFlags();
      case r.d:
        return validRam;
      default:
        return s.cmos[register];
    }
  }

  #write(register: number, value: number): void {
    const s = this.#state;
    switch (register) {
      case r.a:
        s.cmos[r.a] = value & 0x7f;
        s.lastPeriodNs = this.#clock.now();
        break;
      case r.b:
        this.#writeB(value);
        break;
      case r.c:
      case r.d:
        return;
      default:
        if (this.#timeField(register) !== undefined) this.#setTimeField(register, value);
        else s.cmos[register] = value;
    }
    this.#schedule();
  }

  /** SET stops the clock so that its fields can be written one by one; leaving it starts from them. */
  #writeB(value: number): void {
    const s = this.#state;
    if ((value & bSet) !== 0 && s.frozenMs < 0) s.frozenMs = Math.floor(this.#nowMs);
    if ((value & bSet) === 0 && s.frozenMs >= 0) {
      s.offsetMs = s.frozenMs - this.#wallClock();
      s.frozenMs = -1;
      s.lastSecond = Math.floor(this.#nowMs / 1000);
    }
    // While SET is on there are no update-ended interrupts.
    s.cmos[r.b] = (value & bSet) !== 0 ? value & ~bUpdate : value;
    this.#updateLine();
  }

  #updating(): boolean {
    if (this.#state.frozenMs >= 0) return false;
    return this.#nowMs % 1000 >= 1000 - updateNoticeMs;
  }

  #timeField(register: number): number | undefined {
    if (register > r.year && register !== centuryRegister) return undefined;
    const time = civilOf(this.#nowMs);
    switch (register) {
      case r.second:
        return this.#encode(time.second);
      case r.minute:
        return this.#encode(time.minute);
      case r.hour:
        return this.#encodeHour(time.hour);
      case r.weekday:
        return this.#encode(time.weekday);
      case r.day:
        return this.#encode(time.day);
      case r.month:
        return this.#encode(time.month);
      case r.year:
        return this.#encode(time.year % 100);
      case centuryRegister:
        return this.#encode(Math.floor(time.year / 100) % 100);
      default:
        return undefined;
    }
  }

  #setTimeField(register: number, value: number): void {
    const s = this.#state;
    const before = this.#nowMs;
    const time: { -readonly [field in keyof CivilTime]: number } = { ...civilOf(before) };
    const plain = this.#decode(value);
    if (register === r.second) time.second = Math.min(plain, 59);
    else if (register === r.minute) time.minute = Math.min(plain, 59);
    else if (register === r.hour) time.hour = this.#decodeHour(value);
    else if (register === r.day) time.day = Math.min(Math.max(plain, 1), 31);
    else if (register === r.month) time.month = Math.min(Math.max(plain, 1), 12);
    else if (register === r.year) time.year = time.year - (time.year % 100) + Math.min(plain, 99);
    else if (register === centuryRegister) time.year = Math.min(plain, 99) * 100 + (time.year % 100);
    // Times before 1970 do not exist here: a century written first may pass through one.
    const after = Math.max(msOf(time) + (before % 1000), 0);
    if (s.frozenMs >= 0) s.frozenMs = Math.floor(after);
    else s.offsetMs += after - before;
  }

  #encode(value: number): number {
    return (this.#state.cmos[r.b] & bBinary) !== 0 ? value : (Math.floor(value / 10) << 4) | (value % 10);
  }

  #decode(value: number): number {
    return (this.#state.cmos[r.b] & bBinary) !== 0 ? value : (value >> 4) * 10 + (value & 15);
  }

  #encodeHour(hour: number): number {
    if ((this.#state.cmos[r.b] & b24Hour) !== 0) return this.#encode(hour);
    return this.#encode(hour % 12 === 0 ? 12 : hour % 12) | (hour >= 12 ? 0x80 : 0);
  }

  #decodeHour(value: number): number {
    if ((this.#state.cmos[r.b] & b24Hour) !== 0) return Math.min(this.#decode(value), 23);
    return (Math.min(this.#decode(value & 0x7f), 12) % 12) + ((value & 0x80) !== 0 ? 12 : 0);
  }

  /** Nanoseconds of the periodic rate; 0: off (data sheet, "Periodic Interrupt Rate"). */
  get #periodNs(): number {
    const rate = this.#state.cmos[r.a] & 0xf;
    if (rate === 0) return 0;
    const shift = rate <= 2 ? rate + 7 : rate;
    return Math.round((1e9 * 2 ** (shift - 1)) / 32_768);
  }

  /** Notes in register C what has happened since it was last looked at. */
  #noteFlags(): void {
    const s = this.#state;
    const second = Math.floor(this.#nowMs / 1000);
    if (second !== s.lastSecond) {
      s.lastSecond = second;
      s.cmos[r.c] |= bUpdate;
      if (this.#alarmMatches()) s.cmos[r.c] |= bAlarm;
    }
    const period = this.#periodNs;
    const passed = period === 0 ? 0 : Math.floor((this.#clock.now() - s.lastPeriodNs) / period);
    if (passed > 0) {
      s.lastPeriodNs += passed * period;
      s.cmos[r.c] |= bPeriodic;
    }
  }

  /** A field of the alarm with both top bits set matches anything. */
  #alarmMatches(): boolean {
    const { cmos } = this.#state;
    const matches = (alarm: number, field: number): boolean =>
      (cmos[alarm] & 0xc0) === 0xc0 || cmos[alarm] === this.#timeField(field);
    return matches(r.secondAlarm, r.second) && matches(r.minuteAlarm, r.minute) && matches(r.hourAlarm, r.hour);
  }

  #readFlags(): number {
    const s = this.#state;
    this.#noteFlags();
    const enabled = (s.cmos[r.b] & s.cmos[r.c] & 0x70) !== 0;
    const value = s.cmos[r.c] | (enabled ? cIrq : 0);
    s.cmos[r.c] = 0;
    this.#irq.set(false);
    this.#schedule();
    return value;
  }

  #updateLine(): void {
    const s = this.#state;
    this.#irq.set((s.cmos[r.b] & s.cmos[r.c] & 0x70) !== 0);
  }

  /** Sets the alarm for the next thing that could interrupt. */
  #schedule(): void {
    const s = this.#state;
    const now = this.#clock.now();
    let at = -1;
    const enabled = s.cmos[r.b];
    if ((enabled & (bUpdate | bAlarm)) !== 0 && s.frozenMs < 0) {
      at = now + Math.max(Math.ceil((1000 - (this.#nowMs % 1000)) * 1e6), 1);
    }
    const period = this.#periodNs;
    if ((enabled & bPeriodic) !== 0 && period !== 0) {
      const passed = Math.floor((now - s.lastPeriodNs) / period) + 1;
      const next = s.lastPeriodNs + passed * period;
      at = at < 0 ? next : Math.min(at, next);
    }
    this.#arm(at);
  }

  #ring(): void {
    if (this.#state.alarmNs < 0) return;
    this.#noteFlags();
    this.#updateLine();
    this.#schedule();
  }

  #arm(atNs: number): void {
    this.#state.alarmNs = atNs;
    this.#alarm.set(atNs < 0 ? undefined : atNs);
  }
}
