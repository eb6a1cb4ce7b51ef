/** The record of a block device. Requests in flight are the queue's to remember: they are done again after a restore. */

export type BlkState = {
  /** 1: what is written may stay in the host's cache until a flush; 0: each write is flushed. */
  writeback: number;
};

export const newBlkState = (): BlkState => ({ writeback: 1 });
