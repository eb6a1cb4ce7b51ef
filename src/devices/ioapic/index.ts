export type { DeliverMessage } from "./device.ts";
export { Ioapic } from "./device.ts";
export type { IoapicState } from "./persist.ts";
export { pinCount } from "./persist.ts";
