export { Pic, picPorts } from "./device.ts";
