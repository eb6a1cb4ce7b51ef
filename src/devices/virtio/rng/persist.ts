/** The record of the entropy device: what it gives comes from elsewhere, so there is nothing to keep. */

export type RngState = Record<never, never>;

export const newRngState = (): RngState => ({});
