/** The record of the network device. Connections live with the host and are not in it: after a restore they are reset. */
import { recentBytes } from "./recent.ts";

export type NetState = {
  /** Counts starts of the driver, modulo 256. */
  era: number;
  /** What there is to reset then (recent.ts). */
  recent: Uint8Array;
};

export const newNetState = (): NetState => ({ era: 0, recent: new Uint8Array(recentBytes) });
