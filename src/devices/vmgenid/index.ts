export { GenerationId } from "./device.ts";
