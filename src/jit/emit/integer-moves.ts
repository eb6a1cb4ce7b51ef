// biome-ignore-all format: tables of operations read better in rows
/** Semantics of moves, extensions, selections, and of flags as data. */
import { FlagsClass } from "#ir";
import { W } from "#wasm";
import { logs, sizes, types } from "./integer-width.ts";
import type { Semantics } from "./op-emitter.ts";

export const moveSemantics = new Map<string, Semantics>();
const means = (name: string, semantics: Semantics): void => {
  moveSemantics.set(name, semantics);
};

// Moves.
for (const log of logs) means(`mov${sizes[log]}`, (e) => e.write(types[log], () => e.pushA(types[log])));
means("movw32", (e) => e.write("w32", () => e.pushA("w32")));
means("movv", (e) => e.write("v128", () => e.pushA("v128")));
means("const8", (e) => e.write("i8", () => e.pushImm32()));
means("const16", (e) => e.write("i16", () => e.pushImm32()));
means("const64", (e) => e.write("i64", () => e.pushImm64()));
for (const [name, load] of [["s8", W.i64_load8_s], ["z8", W.i64_load8_u], ["s16", W.i64_load16_s], ["s32", W.i64_load32_s], ["s64", W.i64_load]] as const) {
  means(`code_${name}`, (e) =>
    e.write("i64", () => {
      e.pushImm32();
      e.code.memory(load, 0);
    }),
  );
}
for (const [from, to] of [[0, 1], [0, 2], [1, 2]] as const) {
  means(`zx${sizes[from]}_${sizes[to]}`, (e) => e.write(types[to], () => e.pushA(types[from])));
}
for (const [from, to] of [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]] as const) {
  means(`sx${sizes[from]}_${sizes[to]}`, (e) =>
    e.write(types[to], () => {
      e.pushA(types[from]);
      if (from < 2) e.code.op(from === 0 ? W.i32_extend8_s : W.i32_extend16_s);
      if (to === 3) e.code.op(W.i64_extend_i32_s);
    }),
  );
}

// Flags as data.
means("setcarry", (e) => {
  e.pushFlags();
  e.code.i32(~1).op(W.i32_and);
  e.pushA("i8");
  e.code.i32(1).op(W.i32_and, W.i32_or).set(e.p);
  e.setFlags(FlagsClass.EXPLICIT, 0, () => e.code.get(e.p).op(W.i64_extend_i32_u));
});
means("getflags", (e) =>
  e.write("i64", () => {
    e.pushFlags();
    e.code.op(W.i64_extend_i32_u);
  }),
);
means("setflags", (e) => {
  e.pushA("i64");
  e.code.i64(0x8d5).op(W.i64_and).set(e.x);
  e.setFlags(FlagsClass.EXPLICIT, 0, () => e.code.get(e.x));
});
for (const known of ["", "sub", "logic"] as const) {
  for (let cc = 0; cc < 16; cc++) {
    means(`cond${known}${cc}`, (e) =>
      e.write(
        "i64",
        () => {
          e.pushCondition(cc, known);
          e.code.op(W.i64_extend_i32_u);
        },
        1,
      ),
    );
  }
}
for (const log of logs) {
  means(`select${sizes[log]}`, (e) =>
    e.write(types[log], () => {
      e.pushB(types[log]);
      e.pushD(types[log]);
      e.pushA("i8");
      e.code.op(W.select);
    }),
  );
}
