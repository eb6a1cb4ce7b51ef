/** The host bridge at 00:00.0: an identity and nothing else. The generic PCIe bridge of the QEMU project's IDs. */
import { PciFunction } from "./function.ts";

export const newHostBridge = (): PciFunction =>
  new PciFunction({ vendor: 0x1b36, device: 0x0008, classCode: 0x06_0000, subsystemVendor: 0x1af4, subsystem: 0x1100 });
