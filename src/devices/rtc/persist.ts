/** The record of the clock and its CMOS memory. */

export type RtcState = {
  /** The register that port 0x71 shows; bit 7 masks NMI. */
  index: number;
  /** 128 bytes; those of time and date are computed when read, the alarm's and the rest are kept. */
  cmos: Uint8Array;
  /** What the guest set the clock to, less the host's time, in ms. */
  offsetMs: number;
  /** While SET is on (register B), the time stands still here: ms since 1970; -1 else. */
  frozenMs: number;
  /** The last second whose update was noted in register C. */
  lastSecond: number;
  /** Guest time up to which periods were noted in register C. */
  lastPeriodNs: number;
  /** Guest time of the next interrupt to look for; -1: none. */
  alarmNs: number;
};
