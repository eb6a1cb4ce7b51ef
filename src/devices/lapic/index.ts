export { ApicBus } from "./apic-bus.ts";
export { type ApicAddress, isLogicalDestination, modeDisabled, modeXapic } from "./destination.ts";
export { type ApicTarget, Lapic, type VcpuSignals } from "./device.ts";
export { deliveryMode } from "./registers.ts";
export type { TscSource } from "./timer.ts";
export { tscOf } from "./timer.ts";
