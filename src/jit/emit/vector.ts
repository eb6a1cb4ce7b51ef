/** Semantics of the vector and floating-point operations of ir/vector-ops.ts. */
import type { Semantics } from "./op-emitter.ts";
import { floatSemantics } from "./vector-float.ts";
import { packedSemantics } from "./vector-integer.ts";
import { shuffleSemantics } from "./vector-shuffle.ts";

export const vectorSemantics: ReadonlyMap<string, Semantics> = new Map([
  ...packedSemantics,
  ...shuffleSemantics,
  ...floatSemantics,
]);
