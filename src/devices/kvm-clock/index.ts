export { KvmClock, type KvmClockState } from "./device.ts";
