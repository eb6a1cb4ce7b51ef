export type { Engine, EngineHost, EngineObserver, VmExit } from "./engine.ts";
export { TranslatingEngine, type TranslatingOptions } from "./translating/engine.ts";
