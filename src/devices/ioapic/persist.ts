/** The record of the I/O APIC: 82093AA with the EOI register of later chips. */

export const pinCount = 24;

export type IoapicState = {
  id: number;
  /** The index register: which register the data window shows. */
  select: number;
  /** 24 redirection entries of two 32-bit words. */
  redirection: Uint8Array;
  /** Bit n: pin n is asserted. */
  lines: number;
};

export const newIoapicState = (): IoapicState => {
  const redirection = new Uint8Array(pinCount * 8);
  for (let pin = 0; pin < pinCount; pin++) redirection[pin * 8 + 2] = 1; // bit 16: masked
  return { id: 0, select: 0, redirection, lines: 0 };
};
