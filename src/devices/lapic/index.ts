export { ApicBus } from "./apic-bus.ts";
export type { VcpuSignals } from "./device.ts";
export { Lapic } from "./device.ts";
export type { TscSource } from "./timer.ts";
export { tscOf } from "./timer.ts";
