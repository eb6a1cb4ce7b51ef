export type { Engine, EngineHost, EngineObserver, VmExit } from "./engine.ts";
export { isLearntBy, learntHeadBytes } from "./translating/learnt-blocks.ts";
export { TranslatingEngine, type TranslatingOptions } from "./translating/engine.ts";
