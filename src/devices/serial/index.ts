export type { SerialHost } from "./device.ts";
export { Serial } from "./device.ts";
export type { SerialState } from "./persist.ts";
