/** The helpers that the IR's `call` reaches, one line for each file that has some; names and effects are in src/ir/helpers.ts. */
export { deliver_fault } from "./deliver";
export { cmpxchg16b, crc32, decimal, div, fence, idiv, locked_neg } from "./integer";
export { rep_cmps, rep_lods, rep_movs, rep_scas, rep_stos } from "./string";
