export { pitHz } from "./channel.ts";
export { Pit, pitPorts } from "./device.ts";
export type { PitState } from "./persist.ts";
