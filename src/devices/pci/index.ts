export { PciBus, pciPorts } from "./bus.ts";
export type { PciBar, PciConfigHooks, PciIdentity } from "./function.ts";
export { PciFunction } from "./function.ts";
export { Msix } from "./msix.ts";
export { newHostBridge } from "./host-bridge.ts";
