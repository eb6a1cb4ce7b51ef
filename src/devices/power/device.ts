/**
 * ACPI fixed hardware (ACPI 6.5, "ACPI Hardware Specification"): PM1a events and control, the PM timer; and the ways
 * a PC resets: the register at 0xcf9, the keyboard controller's pulse (port 0x64), port 0x92.
 *
 * The machine is always in ACPI mode (SCI_EN reads as 1). Sleep type `s5SleepType` with SLP_EN powers off.
 * Law: the SCI line is high exactly while an enabled status bit is set.
 */
import type { AccessSize, Alarm, DeviceClock, IrqLine, PortDevice } from "../bus.ts";
import { pmPorts, resetPort } from "../memory-map.ts";
import { copyState, restoreState, type Stateful } from "../state.ts";
import { newPowerState, type PowerState } from "./persist.ts";

export interface PowerHost {
  onPowerOff(): void;
  onReset(): void;
}

/** The value of \_S5 that means "off". */
export const s5SleepType = 5;

const keyboardPort = 0x64;
const systemControlPort = 0x92;
export const powerPorts = [
  [pmPorts.base, pmPorts.size],
  [resetPort, 1],
  [keyboardPort, 1],
  [systemControlPort, 1],
] as const;

const timerStatus = 1 << 0;
const powerButtonStatus = 1 << 8;
const statusBits = 0x8731;
const enableBits = 0x0721;
const sciEnable = 1;
const sleepEnable = 1 << 13;

const timerHz = 3_579_545;
const timerTopBit = 1 << 23;

export class Power implements PortDevice, Stateful<PowerState> {
  readonly #state: PowerState = newPowerState();
  readonly #clock: DeviceClock;
  readonly #sci: IrqLine;
  readonly #host: PowerHost;
  readonly #alarm: Alarm;

  constructor(clock: DeviceClock, sci: IrqLine, host: PowerHost) {
    this.#clock = clock;
    this.#sci = sci;
    this.#host = host;
    this.#alarm = clock.alarm(() => this.#update());
  }

  /** The power button: asks the guest to shut itself down. */
  pressPowerButton(): void {
    this.#state.status |= powerButtonStatus;
    this.#update();
  }

  readPort(port: number, size: AccessSize): number {
    const s = this.#state;
    if (port === resetPort) return s.resetControl;
    // No keyboard controller: all ones. A20 is always on.
    if (port === keyboardPort) return 0xff;
    if (port === systemControlPort) return 0x02;
    const offset = port - pmPorts.base;
    if (offset < 4) {
      this.#update();
      return ((s.status | (s.enable << 16)) >>> (8 * offset)) & sizeMask(size);
    }
    if (offset < 8) return offset < 6 ? (s.control | sciEnable) >>> (8 * (offset - 4)) : 0;
    return this.#timer() >>> (8 * (offset - 8));
  }

  writePort(port: number, size: AccessSize, value: number): void {
    const s = this.#state;
    if (port === resetPort) {
      const rises = (value & 4) !== 0 && (s.resetControl & 4) === 0;
      s.resetControl = value & 0x0a;
      if (rises) this.#host.onReset();
    } else if (port === keyboardPort) {
      if ((value & 0xff) === 0xfe) this.#host.onReset();
    } else if (port === systemControlPort) {
      if ((value & 1) !== 0) this.#host.onReset();
    } else this.#writePm(port - pmPorts.base, size, value);
  }

  save(): PowerState {
    return copyState(this.#state);
  }

  restore(saved: PowerState): void {
    restoreState(this.#state, saved);
    this.#arm();
  }

  #writePm(offset: number, size: AccessSize, value: number): void {
    const s = this.#state;
    if (offset < 4) {
      const mask = sizeMask(size);
      const shift = 8 * offset;
      const bits = (value & mask) << shift;
      this.#update();
      s.status &= ~(bits & 0xffff);
      const enableMask = (mask << shift) >>> 16;
      s.enable = ((s.enable & ~enableMask) | ((bits >>> 16) & enableMask)) & enableBits;
      this.#update();
    } else if (offset === 4 && size >= 2) {
      s.control = value & 0x1c06;
      if ((value & sleepEnable) !== 0 && ((value >> 10) & 7) === s5SleepType) this.#host.onPowerOff();
    } else if (offset === 5) {
      s.control = (s.control & 0xff) | ((value << 8) & 0x1c00);
      if ((value & (sleepEnable >> 8)) !== 0 && ((value >> 2) & 7) === s5SleepType) this.#host.onPowerOff();
    }
  }

  /** 24 bits of a 3.579545 MHz counter. */
  #timer(): number {
    return Math.floor((this.#clock.now() * timerHz) / 1e9) % 0x100_0000;
  }

  #update(): void {
    const s = this.#state;
    const top = (this.#timer() & timerTopBit) !== 0 ? 1 : 0;
    if (top !== s.timerTop) {
      s.timerTop = top;
      s.status |= timerStatus;
    }
    s.status &= statusBits;
    this.#sci.set((s.status & s.enable) !== 0);
    this.#arm();
  }

  /** While its event is enabled, an alarm at the next change of the timer's top bit. */
  #arm(): void {
    if ((this.#state.enable & timerStatus) === 0) {
      this.#alarm.set(undefined);
      return;
    }
    const ticks = timerTopBit - (this.#timer() & (timerTopBit - 1));
    this.#alarm.set(this.#clock.now() + Math.ceil((ticks * 1e9) / timerHz) + 1);
  }
}

const sizeMask = (size: AccessSize): number => (size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff);
