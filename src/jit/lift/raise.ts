/** Lifting of an exception: what an instruction raises whatever its operands are. */
import { Helper } from "#ir";
import type { Lifter } from "./lifter.ts";

/** Raises `vector` at this instruction and ends the block. */
export function raise(l: Lifter, vector: number, error = 0): void {
  l.ir.call(Helper.sys_raise, vector, 0, error);
  l.dispatch();
}
