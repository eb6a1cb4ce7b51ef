export { ApicBus } from "./apic-bus.ts";
export type { ApicInterconnect, ExternalInterrupts, LapicOptions, VcpuSignals } from "./device.ts";
export { Lapic } from "./device.ts";
export type { LapicState } from "./persist.ts";
export type { TscSource } from "./timer.ts";
export { tscOf } from "./timer.ts";
