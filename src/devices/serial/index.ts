export type { SerialHost } from "./device.ts";
export { Serial } from "./device.ts";
