export { DebugPort, debugPorts } from "./device.ts";
