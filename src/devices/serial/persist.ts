/** The record of one 16550A. Registers have the names of its data sheet. */

export const fifoSize = 16;

export type SerialState = {
  ier: number;
  /** FIFO enable and receive trigger; the reset bits are momentary. */
  fcr: number;
  lcr: number;
  mcr: number;
  /** Error bits of LSR (overrun, break), until read. */
  lsrErrors: number;
  /** Delta bits of MSR, until read. */
  msrDelta: number;
  scratch: number;
  /** Divisor latch. */
  divisor: number;
  /** Received bytes, a ring: the oldest at `rxHead`. */
  rx: Uint8Array;
  rxHead: number;
  rxCount: number;
  /** Received since the guest last saw that there was nothing. */
  rxSinceIdle: number;
  /** Bytes the transmitter holds because the host takes none. */
  tx: Uint8Array;
  txCount: number;
  /** The transmitter became empty, and neither IIR nor THR has been used since. */
  thrEmptied: number;
};

export const newSerialState = (): SerialState => ({
  ier: 0,
  fcr: 0,
  lcr: 0,
  mcr: 0,
  lsrErrors: 0,
  msrDelta: 0,
  scratch: 0,
  divisor: 12,
  rx: new Uint8Array(fifoSize),
  rxHead: 0,
  rxCount: 0,
  rxSinceIdle: 0,
  tx: new Uint8Array(fifoSize),
  txCount: 0,
  thrEmptied: 0,
});
