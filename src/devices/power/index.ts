export type { PowerHost } from "./device.ts";
export { Power, powerPorts, s5SleepType } from "./device.ts";
