/** Semantics of the vector and floating-point operations of ir/vector-ops.ts. */
import type { Semantics } from "./op-emitter.ts";
import { scalarFloatSemantics } from "./vector-float.ts";
import { packedFloatSemantics } from "./vector-float-packed.ts";
import { packedSemantics } from "./vector-integer.ts";
import { shuffleSemantics } from "./vector-shuffle.ts";
import { x87Semantics } from "./x87.ts";

export const vectorSemantics: ReadonlyMap<string, Semantics> = new Map([
  ...packedSemantics,
  ...shuffleSemantics,
  ...scalarFloatSemantics,
  ...packedFloatSemantics,
  ...x87Semantics,
]);
