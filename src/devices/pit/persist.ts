/** The record of the 8254: one flat array a field, an element a channel, times as doubles. */

export const channelCount = 3;

/** Fields of a channel that fit a byte, as indexes. */
export const pitField = {
  mode: 0,
  bcd: 1,
  /** 1 low byte, 2 high byte, 3 low then high. */
  access: 2,
  gate: 3,
  /** The next byte written or read is the high one. */
  writeHigh: 4,
  readHigh: 5,
  writeLatch: 6,
  /** A latched count: bytes left to read (0 none), then its bytes. */
  latchLeft: 7,
  latchLow: 8,
  latchHigh: 9,
  statusLatched: 10,
  status: 11,
  /** No count has been loaded since the control word: the output rests. */
  nullCount: 12,
  /** Channel 0: whether the terminal count of a one-shot mode was signalled. */
  line: 13,
} as const;
export const pitFieldCount = 14;

export type PitState = {
  channels: Uint8Array;
  count0: number;
  count1: number;
  count2: number;
  /** Guest time at which counting began. */
  start0: number;
  start1: number;
  start2: number;
  /** Channel 0's next edge; -1: none. */
  edgeNs: number;
  speaker: number;
};

export const newPitState = (): PitState => {
  const channels = new Uint8Array(channelCount * pitFieldCount);
  for (let n = 0; n < channelCount; n++) {
    channels[n * pitFieldCount + pitField.mode] = 3;
    channels[n * pitFieldCount + pitField.access] = 3;
    channels[n * pitFieldCount + pitField.gate] = n === 2 ? 0 : 1;
    channels[n * pitFieldCount + pitField.nullCount] = 1;
  }
  return {
    channels,
    count0: 0x1_0000,
    count1: 0x1_0000,
    count2: 0x1_0000,
    start0: 0,
    start1: 0,
    start2: 0,
    edgeNs: -1,
    speaker: 0,
  };
};
