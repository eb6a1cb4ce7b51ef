/** The record of a memory device: how much the guest is asked to have, and which blocks it has. */

export type PluggedMemoryState = {
  /** Bytes. */
  requested: number;
  /** Of each block of the region, 1: plugged. */
  plugged: Uint8Array;
};

export const newPluggedMemoryState = (blocks: number): PluggedMemoryState => ({
  requested: 0,
  plugged: new Uint8Array(blocks),
});
