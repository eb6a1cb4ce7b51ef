export { VirtioConsole } from "./device.ts";
