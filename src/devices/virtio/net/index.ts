export { Net } from "./device.ts";
export { networkRingBytes, networkService } from "./wire.ts";
