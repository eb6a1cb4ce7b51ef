export type { Engine, EngineHost, VmExit } from "./engine.ts";
export { TranslatingEngine, type TranslatingOptions } from "./translating/engine.ts";
