export { Pic, picPorts } from "./device.ts";
export type { PicState } from "./persist.ts";
