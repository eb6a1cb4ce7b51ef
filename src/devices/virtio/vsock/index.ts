export { VirtioVsock } from "./device.ts";
