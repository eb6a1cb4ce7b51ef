/** The block service on files of Node's. */
import type { DiskConfig, OpenService } from "#devices";
import { openBlockService } from "#disk";
import { nodeDiskHost } from "./disk-files.ts";

export const openBlock: OpenService = (config, port) => openBlockService(config as DiskConfig, port, nodeDiskHost);
