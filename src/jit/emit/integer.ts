/**
 * Semantics of the integer, memory and flag operations. Control operations (jmp, jcc, call, ...) belong to the executors,
 * which each have their own way of going somewhere.
 */
import { arithmeticSemantics } from "./integer-arithmetic.ts";
import { moveSemantics } from "./integer-moves.ts";
import { productSemantics } from "./integer-products.ts";
import { shiftSemantics } from "./integer-shifts.ts";
import { memorySemantics } from "./memory-operations.ts";
import type { Semantics } from "./op-emitter.ts";

export const integerSemantics: ReadonlyMap<string, Semantics> = new Map([
  ...moveSemantics,
  ...arithmeticSemantics,
  ...shiftSemantics,
  ...productSemantics,
  ...memorySemantics,
]);
