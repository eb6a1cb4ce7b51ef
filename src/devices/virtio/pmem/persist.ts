/** The record of a persistent memory device: what it has is in its region, so there is nothing to keep. */

export type PmemState = Record<never, never>;

export const newPmemState = (): PmemState => ({});
