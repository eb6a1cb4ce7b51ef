export { Pit, pitPorts } from "./device.ts";
