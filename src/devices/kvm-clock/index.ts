export { KvmClock } from "./device.ts";
