export { hostMemory } from "./host-memory.ts";
export { Ledger } from "./ledger.ts";
export { type HostFigures, readHostFigures } from "./host-figures.ts";
export { judgeHost, type MachineHolding } from "./host-policy.ts";
