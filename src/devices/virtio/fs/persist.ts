/** The record of a file system device. */

export type FsState = {
  /** What the guest has open and knows, as its service says (session.ts); empty when no driver has begun. */
  session: Uint8Array;
};

export const newFsState = (): FsState => ({ session: new Uint8Array(0) });
