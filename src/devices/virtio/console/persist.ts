/** The record of a virtio console. */

export type ConsoleState = {
  columns: number;
  rows: number;
  /** The driver has said that it is ready for control messages. */
  driverReady: number;
  /** `portFlags` of each port. */
  flags: Uint8Array;
  /** `unsaid` of each port: what the driver is still to be told. */
  unsaid: Uint8Array;
  /** u32 a port: how much of the chain that is being sent has gone to the host. */
  sent: Uint8Array;
};

export const portFlag = {
  /** The driver was told of it. */
  added: 1,
  /** The driver has it. */
  ready: 2,
  /** A program in the guest has it open. */
  guestOpen: 4,
  /** A program in the guest has closed it, and what it wrote is still on its way. */
  closing: 8,
  /** The driver was last told that the host has it open. */
  hostOpen: 16,
} as const;

export const unsaid = { add: 1, console: 2, size: 4, name: 8, open: 16 } as const;

export const newConsoleState = (ports: number): ConsoleState => ({
  columns: 80,
  rows: 24,
  driverReady: 0,
  flags: new Uint8Array(ports),
  unsaid: new Uint8Array(ports),
  sent: new Uint8Array(4 * ports),
});
