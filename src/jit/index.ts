export { generateInterpreter } from "./emit/interpreter.ts";
export { runtimeCalls } from "./emit/runtime-calls.ts";
export { ArenaLifter } from "./lift/arena-lifter.ts";
export { BlockLifter, type LiftedBlock, maxInstructions } from "./lift/block.ts";
export type { LiveNumbers } from "./lift/live-numbers.ts";
export {
  type CompiledBatch,
  type EmitOptions,
  emitRegions,
  type RegionCode,
  type RegionObject,
  regionName,
} from "./emit/region.ts";
export { isLasting, KeptRegions, recordOf } from "./emit/kept-regions.ts";
export { type EmitterSetup, RemoteEmitter, runEmitterThread } from "./emit/emitter-thread.ts";
export { growRegion, type Region, type RegionBlock, type RegionGround, type RegionSize } from "./hot/region.ts";
export { type PassName, type Passes, passesWithout, passNames } from "./passes.ts";
