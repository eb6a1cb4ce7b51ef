export { Ioapic } from "./device.ts";
