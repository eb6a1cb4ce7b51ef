// biome-ignore-all format: tables of operations read better in rows
/** Semantics of the operations on memory: loads, stores, addresses, the stack, atomic updates. */
import type { FieldType } from "#ir";
import { A, type Code, type Label, type Local, V, W } from "#wasm";
import { logs, sizes, types, wide } from "./integer-width.ts";
import { Intent, type OpEmitter, type Semantics } from "./op-emitter.ts";

export const memorySemantics = new Map<string, Semantics>();
const means = (name: string, semantics: Semantics): void => {
  memorySemantics.set(name, semantics);
};

const loadOps: readonly (readonly [name: string, type: FieldType, bytes: number, op: number])[] = [
  ["ld8", "i8", 1, W.i32_load8_u], ["ld16", "i16", 2, W.i32_load16_u], ["ld32", "i32", 4, W.i32_load], ["ld64", "i64", 8, W.i64_load],
  ["ldw32", "w32", 4, W.i32_load], ["ldz8_16", "i16", 1, W.i32_load8_u], ["ldz8_32", "i32", 1, W.i32_load8_u], ["ldz16_32", "i32", 2, W.i32_load16_u],
  ["lds8_16", "i16", 1, W.i32_load8_s], ["lds8_32", "i32", 1, W.i32_load8_s], ["lds8_64", "i64", 1, W.i64_load8_s],
  ["lds16_32", "i32", 2, W.i32_load16_s], ["lds16_64", "i64", 2, W.i64_load16_s], ["lds32_64", "i64", 4, W.i64_load32_s],
];
/** Gives an operation and its indexed twin their common meaning: `address()` knows the difference. */
function meansBoth(name: string, semantics: Semantics): void {
  means(name, semantics);
  means(`${name}x`, semantics);
}
function meansLoad(name: string, type: FieldType, bytes: number, intent: Intent, op: number): void {
  meansBoth(name, (e) => {
    e.address();
    const bits = op === W.i32_load8_u ? 8 : op === W.i32_load16_u ? 16 : undefined;
    e.write(type, () => e.load(bytes, intent, (from) => e.code.memory(op, from)), bits);
  });
}
for (const [name, type, bytes, op] of loadOps) meansLoad(name, type, bytes, Intent.read, op);
for (const log of logs) meansLoad(`ldm${sizes[log]}`, types[log], 1 << log, Intent.modify, [W.i32_load8_u, W.i32_load16_u, W.i32_load, W.i64_load][log]);
for (const [bits, op] of [[32, V.v128_load32_zero], [64, V.v128_load64_zero]] as const) {
  meansBoth(`ldz${bits}_128`, (e) => {
    e.address();
    e.write("v128", () => e.load(bits / 8, Intent.read, (from) => e.code.vectorMemory(op, from)));
  });
}
for (const aligned of [false, true]) {
  const a = aligned ? "a" : "";
  meansBoth(`ldv${a}`, (e) => {
    e.address();
    if (aligned) checkAlignment(e);
    e.write("v128", () => e.load(16, Intent.read, (from) => e.code.vectorMemory(V.v128_load, from)));
  });
  meansBoth(`stv${a}`, (e) => {
    e.address();
    if (aligned) checkAlignment(e);
    e.store(16, (from) => {
      e.pushD("v128");
      e.code.vectorMemory(V.v128_store, from);
    });
  });
}
/** Opens an unlikely `if`: the address is not canonical. */
export const ifNotCanonical = (c: Code, address: Local): Label =>
  c.get(address).i64(16).op(W.i64_shl).i64(16).op(W.i64_shr_s).get(address).op(W.i64_ne).unlikely().if();
means("canonical", (e) => {
  e.pushA("i64");
  ifNotCanonical(e.code.set(e.x), e.x);
  e.code.get(e.vp);
  e.pushImm32();
  e.callRuntime("raise_target");
  e.leaveIf();
  e.code.end();
});
/** #GP where the address in x is no multiple of 16. */
function checkAlignment(e: OpEmitter): void {
  if (e.isAligned) return;
  e.code.get(e.x).op(W.i32_wrap_i64).i32(15).op(W.i32_and).unlikely().if();
  e.code.get(e.vp);
  e.callRuntime("raise_alignment");
  e.leaveIf();
  e.code.end();
}
for (const log of logs) {
  meansBoth(`st${sizes[log]}`, (e) => {
    e.address();
    e.store(1 << log, (from) => {
      if (e.storeLane?.(log, from)) return;
      e.pushD(types[log]);
      e.code.memory([W.i32_store8, W.i32_store16, W.i32_store, W.i64_store][log], from);
    });
  });
}
meansBoth("lea32", (e) => {
  e.address();
  e.write("i32", () => e.code.get(e.x).op(W.i32_wrap_i64));
});
meansBoth("lea64", (e) => {
  e.address();
  e.write("i64", () => e.code.get(e.x));
});

function push(e: OpEmitter, value: () => void): void {
  e.pushA("i64");
  e.code.i64(8).op(W.i64_sub).set(e.x);
  e.store(8, (from) => {
    value();
    e.code.memory(W.i64_store, from);
  });
  e.writeA("i64", () => {
    e.pushA("i64");
    e.code.i64(8).op(W.i64_sub);
  });
}
means("push64", (e) => push(e, () => e.pushD("i64")));
means("pushpc", (e) =>
  push(e, () => {
    e.pushD("i64");
    e.pushImm32();
    e.code.op(W.i64_extend_i32_s, W.i64_add);
  }),
);
means("pop64", (e) => {
  e.pushA("i64");
  e.code.set(e.x);
  e.load(8, Intent.read, (from) => e.code.memory(W.i64_load, from));
  e.code.set(e.y);
  e.writeA("i64", () => {
    e.pushA("i64");
    e.code.i64(8).op(W.i64_add);
  });
  e.write("i64", () => e.code.get(e.y));
});

// Atomics: the old value is in y (or q), then written.
const atomicOps: Record<string, readonly [number, number, number, number]> = {
  xchg: [A.i32_rmw8_xchg_u, A.i32_rmw16_xchg_u, A.i32_rmw_xchg, A.i64_rmw_xchg],
  xadd: [A.i32_rmw8_add_u, A.i32_rmw16_add_u, A.i32_rmw_add, A.i64_rmw_add],
  and: [A.i32_rmw8_and_u, A.i32_rmw16_and_u, A.i32_rmw_and, A.i64_rmw_and],
  or: [A.i32_rmw8_or_u, A.i32_rmw16_or_u, A.i32_rmw_or, A.i64_rmw_or],
  xor: [A.i32_rmw8_xor_u, A.i32_rmw16_xor_u, A.i32_rmw_xor, A.i64_rmw_xor],
  cmpxchg: [A.i32_rmw8_cmpxchg_u, A.i32_rmw16_cmpxchg_u, A.i32_rmw_cmpxchg, A.i64_rmw_cmpxchg],
};
for (const [name, ops] of Object.entries(atomicOps)) {
  for (const log of logs) {
    means(`atomic_${name}${sizes[log]}`, (e) => {
      const old = wide(log) ? e.y : e.q;
      e.address();
      e.exclusive(1 << log, (from) => {
        e.pushD(types[log]);
        if (name === "cmpxchg") e.pushC(types[log]);
        e.code.atomic(ops[log], log, from).set(old);
      });
      e.write(types[log], () => e.code.get(old));
    });
  }
}

means("stop", (e) => {
  e.code.get(e.vp);
  e.callRuntime("stop");
});
