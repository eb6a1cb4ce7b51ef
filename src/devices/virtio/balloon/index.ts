export { Balloon } from "./device.ts";
export type { GuestMemoryStatistics } from "./statistics.ts";
