/** The record of the network device. Connections live with the host and are not in it: after a restore the guest finds them reset. */

export type NetState = {
  /** Counts starts of the driver, modulo 256. */
  era: number;
};

export const newNetState = (): NetState => ({ era: 0 });
