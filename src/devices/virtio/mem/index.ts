export { type PluggableRegion, PluggedMemory } from "./device.ts";
export { plugBlockBytes } from "./request.ts";
