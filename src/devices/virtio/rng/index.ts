export { Rng } from "./device.ts";
