export { findKernelSymbols, type KernelSymbols } from "./kernel-symbols.ts";
export { printProfile } from "./speedscope.ts";
export { printRegisters, type RegisterOptions } from "./registers.ts";
export { lookUp, type Mapping, type PageTableOptions, printPageTables } from "./page-tables.ts";
export { allBlocks, type BlockFacts, blocksAt, printBlock, printCode, printRegion } from "./blocks.ts";
export { heatLines, heatSvg } from "./heat-map.ts";
