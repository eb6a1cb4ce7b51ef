export { generateInterpreter } from "./emit/interpreter.ts";
export { runtimeCalls } from "./emit/runtime-calls.ts";
export { BlockLifter, type LiftedBlock } from "./lift/block.ts";
export { type CompiledBatch, emitRegions } from "./emit/region.ts";
export { growRegion, type Region } from "./hot/region.ts";
