export { generateInterpreter } from "./emit/interpreter.ts";
export { runtimeCalls } from "./emit/runtime-calls.ts";
export { BlockLifter, type LiftedBlock } from "./lift/block.ts";
export { type CompiledBatch, type EmitOptions, emitRegions, type RegionCode } from "./emit/region.ts";
export { growRegion, type Region, type RegionBlock, type RegionGround, type RegionSize } from "./hot/region.ts";
export { type PassName, type Passes, passesWithout, passNames } from "./passes.ts";
