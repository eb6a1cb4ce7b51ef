// biome-ignore-all format: chains of emitted instructions read better on one line
/**
 * Semantics of the x87 operations of the IR: each is a function of the runtime (runtime/fp/x87-common.ts), which gets values and
 * not fields, so that a region's locals need not go through the record.
 */
import { type OperandType, type VectorOp, vectorOps } from "#ir";
import { at } from "#vcpu";
import { W } from "#wasm";
import type { Semantics } from "./op-emitter.ts";

export const x87Semantics = new Map<string, Semantics>();

/** #MF waits while ES is set. */
x87Semantics.set("x87_wait", (e) => {
  const c = e.code;
  c.get(e.vp).memory(W.i32_load16_u, at.FSW).i32(0x80).op(W.i32_and).unlikely().if();
  c.get(e.vp);
  e.callRuntime("x87_raise");
  e.leaveIf();
  c.end();
});

for (const [name, signature] of Object.entries(vectorOps)) {
  if (!name.startsWith("x87_") || name === "x87_wait") continue;
  const [d, a, b]: readonly OperandType[] = signature.operands;
  const takesImmediate = "imm" in signature;
  x87Semantics.set(name satisfies string as VectorOp, (e) => {
    const call = (): void => {
      e.code.get(e.vp);
      if (a !== "") e.pushA(a);
      if (b !== "") e.pushB(b);
      if (takesImmediate) e.pushImm32();
      e.callRuntime(name);
    };
    if (d === "") call();
    else if (d === "i64" && name === "x87_comi_st") {
      e.write("i64", () => {
        call();
        e.code.op(W.i64_extend_i32_u);
      });
    } else e.write(d, call);
  });
}
