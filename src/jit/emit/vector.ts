/** Semantics of the vector and floating-point operations of ir/vector-ops.ts. */
import { V } from "#wasm";
import type { Semantics } from "./op-emitter.ts";

export const vectorSemantics = new Map<string, Semantics>();

for (const [name, op] of [["v_and", V.v128_and], ["v_or", V.v128_or], ["v_xor", V.v128_xor]] as const) {
  vectorSemantics.set(name, (e) =>
    e.write("v128", () => {
      e.pushA("v128");
      e.pushB("v128");
      e.code.vector(op);
    }),
  );
}
vectorSemantics.set("v_andnot", (e) =>
  e.write("v128", () => {
    // ~a & b, as PANDN; Wasm's andnot negates its second operand.
    e.pushB("v128");
    e.pushA("v128");
    e.code.vector(V.v128_andnot);
  }),
);
