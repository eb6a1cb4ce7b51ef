export { type PersistentRegion, Pmem } from "./device.ts";
