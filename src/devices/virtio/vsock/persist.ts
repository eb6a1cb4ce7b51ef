/** The record of a socket device. Connections are not kept: a driver that goes on from a record is told that they are lost. */

export type VsockState = {
  /** The driver is still to be told that all connections are lost. */
  connectionsLost: number;
};

export const newVsockState = (): VsockState => ({ connectionsLost: 0 });
