/**
 * KVM's paravirtual clock: the guest reads a page instead of a device.
 *
 * The machine's TSC is never scaled or stopped, so one record for each vCPU, written when the guest asks for it, is true
 * for ever: time = (TSC - tsc_timestamp) scaled. (Documentation/virt/kvm/x86/msr.rst, MSR_KVM_SYSTEM_TIME_NEW and
 * MSR_KVM_WALL_CLOCK_NEW; pvclock-abi.h.)
 */
import { gpa } from "#address";
import type { GuestMemory } from "#memory";
import { copyState, restoreState, type Stateful } from "../state.ts";

export const MSR_KVM_WALL_CLOCK_NEW = 0x4b564d00;
export const MSR_KVM_SYSTEM_TIME_NEW = 0x4b564d01;
/** The old numbers of the same two. */
const MSR_KVM_WALL_CLOCK = 0x11;
const MSR_KVM_SYSTEM_TIME = 0x12;

/** All vCPUs read the same time: no vCPU has to look whether another was ahead. */
const PVCLOCK_TSC_STABLE_BIT = 1;
const enabled = 1n;

export type KvmClockState = { wallClock: bigint; systemTime: bigint };

export class KvmClock implements Stateful<KvmClockState> {
  readonly #memory: GuestMemory;
  readonly #tscFrequencyHz: number;
  readonly #bootTimeMs: () => number;
  readonly #state: KvmClockState = { wallClock: 0n, systemTime: 0n };

  /** `bootTimeMs`: the wall-clock time at guest time 0. */
  constructor(memory: GuestMemory, tscFrequencyHz: number, bootTimeMs: () => number) {
    this.#memory = memory;
    this.#tscFrequencyHz = tscFrequencyHz;
    this.#bootTimeMs = bootTimeMs;
  }

  readMsr(index: number): bigint | undefined {
    if (index === MSR_KVM_WALL_CLOCK_NEW || index === MSR_KVM_WALL_CLOCK) return this.#state.wallClock;
    if (index === MSR_KVM_SYSTEM_TIME_NEW || index === MSR_KVM_SYSTEM_TIME) return this.#state.systemTime;
    return undefined;
  }

  /** False for another MSR. An address that is no RAM is the guest's own loss. */
  writeMsr(index: number, value: bigint): boolean {
    if (index === MSR_KVM_WALL_CLOCK_NEW || index === MSR_KVM_WALL_CLOCK) {
      this.#state.wallClock = value;
      this.#writeWallClock(Number(value & 0xffff_ffff_ffffn));
    } else if (index === MSR_KVM_SYSTEM_TIME_NEW || index === MSR_KVM_SYSTEM_TIME) {
      this.#state.systemTime = value;
      if ((value & enabled) !== 0n) this.#writeSystemTime(Number(value & ~enabled & 0xffff_ffff_ffffn));
    } else return false;
    return true;
  }

  save(): KvmClockState {
    return copyState(this.#state);
  }
  restore(state: KvmClockState): void {
    restoreState(this.#state, state);
  }

  #writeWallClock(at: number): void {
    const record = new DataView(new ArrayBuffer(12));
    const ms = this.#bootTimeMs();
    record.setUint32(0, 2, true);
    record.setUint32(4, Math.floor(ms / 1000), true);
    record.setUint32(8, Math.floor((ms % 1000) * 1e6), true);
    this.#memory.write(gpa(at), new Uint8Array(record.buffer));
  }

  #writeSystemTime(at: number): void {
    const { multiplier, shift } = scale(this.#tscFrequencyHz);
    const record = new DataView(new ArrayBuffer(32));
    record.setUint32(0, 2, true);
    // Guest time 0 is TSC 0.
    record.setUint32(24, multiplier, true);
    record.setInt8(28, shift);
    record.setUint8(29, PVCLOCK_TSC_STABLE_BIT);
    this.#memory.write(gpa(at), new Uint8Array(record.buffer));
  }
}

/** ns = ((tsc << shift) * multiplier) >> 32, the multiplier using its upper half. */
function scale(hz: number): { multiplier: number; shift: number } {
  let shift = 0;
  let factor = 1e9 / hz;
  while (factor >= 1) {
    factor /= 2;
    shift++;
  }
  while (factor < 0.5) {
    factor *= 2;
    shift--;
  }
  return { multiplier: Math.floor(factor * 2 ** 32), shift };
}
