/** The 16550A's registers and bits (PC16550D data sheet). */

/** Offsets; 0 and 1 are the divisor latch while LCR's DLAB is on. */
export const uart = { data: 0, ier: 1, iirFcr: 2, lcr: 3, mcr: 4, lsr: 5, msr: 6, scratch: 7 } as const;

export const ier = { received: 1, thrEmpty: 2, lineStatus: 4, modemStatus: 8 } as const;
export const iir = {
  none: 1,
  modemStatus: 0,
  thrEmpty: 2,
  received: 4,
  lineStatus: 6,
  timeout: 12,
  fifos: 0xc0,
} as const;
export const fcr = { enable: 1, clearRx: 2, clearTx: 4 } as const;
export const lcr = { break: 0x40, dlab: 0x80 } as const;
export const mcr = { dtr: 1, rts: 2, out1: 4, out2: 8, loop: 16 } as const;
export const lsr = { dataReady: 1, overrun: 2, break: 16, thrEmpty: 32, idle: 64 } as const;
/** Our end of the cable is always there: carrier, ready, clear to send. */
export const modemLines = 0xb0;
/** Receive trigger levels by FCR's two top bits. */
export const triggerLevels = [1, 4, 8, 14] as const;
