/** Services that this host has on the machine's thread itself, where that is better for them (devices/io/near-line.ts). */
import type { IoRequest, NearService } from "#devices";
import { nearShare } from "./share/index.ts";

export const nearService = ({ service, config }: IoRequest): NearService | undefined =>
  service === "share" ? nearShare(config) : undefined;
