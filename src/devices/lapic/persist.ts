/** The record of one local APIC. Registers have the names and layouts of SDM 3A, "Local APIC". */

export type LapicState = {
  apicId: number;
  /** IA32_APIC_BASE: 0 globally disabled, 1 xAPIC, 2 x2APIC; the base address never moves. */
  mode: number;
  tpr: number;
  /** xAPIC only: logical destination (bits 31:24) and its format. */
  ldr: number;
  dfr: number;
  svr: number;
  esr: number;
  /** Errors since the last write of ESR. */
  esrPending: number;
  icrLow: number;
  icrHigh: number;
  /** Six 32-bit registers from 0x320 on: timer, thermal, performance, LINT0, LINT1, error. */
  lvt: Uint8Array;
  /** 256 bits each. */
  irr: Uint8Array;
  isr: Uint8Array;
  tmr: Uint8Array;
  /** Level of the LINT0 pin: the 8259's INTR. */
  lint0: number;
  initialCount: number;
  divide: number;
  /** Guest time at which the count was loaded. */
  timerStartNs: number;
  /** Guest time of the next expiry; -1: none. */
  timerExpiryNs: number;
  tscDeadline: bigint;
};

export const newLapicState = (apicId: number): LapicState => ({
  apicId,
  mode: 1,
  tpr: 0,
  ldr: 0,
  dfr: 0xffff_ffff,
  svr: 0xff,
  esr: 0,
  esrPending: 0,
  icrLow: 0,
  icrHigh: 0,
  lvt: new Uint8Array(6 * 4),
  irr: new Uint8Array(32),
  isr: new Uint8Array(32),
  tmr: new Uint8Array(32),
  lint0: 0,
  initialCount: 0,
  divide: 0,
  timerStartNs: 0,
  timerExpiryNs: -1,
  tscDeadline: 0n,
});
