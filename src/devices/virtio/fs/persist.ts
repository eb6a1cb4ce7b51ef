/** The record of a file system device: what the guest has open lives with its service, and requests in flight with their queue. */

export type FsState = Record<never, never>;

export const newFsState = (): FsState => ({});
