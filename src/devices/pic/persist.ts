/** The record of the 8259A pair: every field in two, master and slave. */

/** Fields of one chip: one byte each, at these indexes. */
export const picField = {
  irr: 0,
  imr: 1,
  isr: 2,
  /** Levels of the input pins, to see edges. */
  lines: 3,
  /** The vector of input 0. */
  base: 4,
  /** The input of highest priority. */
  first: 5,
  /** Bits below. */
  flags: 6,
  /** Which initialisation word comes next: 0 none, 2 to 4. */
  step: 7,
  elcr: 8,
} as const;
export const picFieldCount = 9;

export const picFlag = {
  readIsr: 1,
  poll: 2,
  specialMask: 4,
  autoEoi: 8,
  rotateOnAutoEoi: 16,
  specialFullyNested: 32,
  needIcw4: 64,
  single: 128,
} as const;

export type PicState = {
  master: Uint8Array;
  slave: Uint8Array;
};

/** As firmware leaves it: every input masked, vectors where real mode has them. */
function newChip(base: number): Uint8Array {
  const chip = new Uint8Array(picFieldCount);
  chip[picField.imr] = 0xff;
  chip[picField.base] = base;
  return chip;
}

export const newPicState = (): PicState => ({ master: newChip(0x08), slave: newChip(0x70) });
