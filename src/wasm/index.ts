export { Code, type CodeObject, type Label, type Local, link } from "./code.ts";
export { type FunctionType, ModuleBuilder } from "./module.ts";
export { A, V, W, type WasmType } from "./opcodes.ts";
export { type FunctionFilter, printModule } from "./print.ts";
