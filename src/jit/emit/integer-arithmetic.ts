// biome-ignore-all format: tables of operations read better in rows
/** Semantics of integer arithmetic with one and two operands, and of bits: sums, logic, counting, scans. */
import { FlagsClass, type SizeLog2 } from "#ir";
import { W } from "#wasm";
import { alu, first, logs, pushExtended, pushSource, pushWide, result, second, sizes, types, wide, writeNarrow } from "./integer-width.ts";
import type { OpEmitter, Semantics } from "./op-emitter.ts";

export const arithmeticSemantics = new Map<string, Semantics>();
const means = (name: string, semantics: Semantics): void => {
  arithmeticSemantics.set(name, semantics);
};

// Two-operand arithmetic.
const binaryOps = {
  add: [W.i32_add, W.i64_add, FlagsClass.ADD],
  sub: [W.i32_sub, W.i64_sub, FlagsClass.SUB],
  and: [W.i32_and, W.i64_and, FlagsClass.LOGIC],
  or: [W.i32_or, W.i64_or, FlagsClass.LOGIC],
  xor: [W.i32_xor, W.i64_xor, FlagsClass.LOGIC],
} as const;

for (const [name, [op32, op64, cls]] of Object.entries(binaryOps)) {
  for (const log of logs) {
    const op = alu(log, op32, op64);
    for (const immediate of [false, true]) {
      const i = immediate ? "i" : "";
      means(`${name}${sizes[log]}${i}`, (e) =>
        e.write(types[log], () => {
          e.pushA(types[log]);
          pushSource(e, log, immediate);
          e.code.op(op);
        }),
      );
      means(`${name}${sizes[log]}${i}f`, (e) => flagged(e, log, cls, op, immediate, true));
    }
  }
}
for (const log of logs) {
  for (const immediate of [false, true]) {
    const i = immediate ? "i" : "";
    means(`cmp${sizes[log]}${i}`, (e) => flagged(e, log, FlagsClass.SUB, alu(log, W.i32_sub, W.i64_sub), immediate, false));
    means(`test${sizes[log]}${i}`, (e) => flagged(e, log, FlagsClass.LOGIC, alu(log, W.i32_and, W.i64_and), immediate, false));
  }
}

function flagged(e: OpEmitter, log: SizeLog2, cls: FlagsClass, op: number, immediate: boolean, writes: boolean): void {
  const [a, b, c] = [first(e, log), second(e, log), result(e, log)];
  e.pushA(types[log]);
  e.code.set(a);
  if (immediate && log < 2 && e.imm !== undefined) e.code.i32(e.imm & (2 ** sizes[log] - 1));
  else pushSource(e, log, immediate);
  e.code.set(b);
  if (cls === FlagsClass.LOGIC) {
    e.code.get(a).get(b).op(op).set(c);
    e.setFlags(cls, log, () => pushWide(e, log, c));
    if (writes) e.write(types[log], () => e.code.get(c));
    return;
  }
  e.setFlags(cls, log, () => pushWide(e, log, a), () => pushWide(e, log, b));
  if (writes) e.write(types[log], () => e.code.get(a).get(b).op(op));
}

for (const [name, op32, op64, cls] of [
  ["adc", W.i32_add, W.i64_add, FlagsClass.ADC],
  ["sbb", W.i32_sub, W.i64_sub, FlagsClass.SBB],
] as const) {
  for (const log of logs) {
    for (const immediate of [false, true]) {
      means(`${name}${sizes[log]}${immediate ? "i" : ""}f`, (e) => {
        const [a, b] = [first(e, log), second(e, log)];
        const op = alu(log, op32, op64);
        e.pushCarry();
        e.code.set(e.r);
        e.pushA(types[log]);
        e.code.set(a);
        pushSource(e, log, immediate);
        e.code.set(b);
        e.setFlags(cls, log, () => pushWide(e, log, a), () => pushWide(e, log, b), () => e.code.get(e.r).op(W.i64_extend_i32_u));
        e.write(types[log], () => {
          e.code.get(a).get(b).op(op).get(e.r);
          if (wide(log)) e.code.op(W.i64_extend_i32_u);
          e.code.op(op);
        });
      });
    }
  }
}

// One-operand arithmetic.
for (const log of logs) {
  const type = types[log];
  means(`not${sizes[log]}`, (e) =>
    e.write(type, () => {
      e.pushA(type);
      if (wide(log)) e.code.i64(-1).op(W.i64_xor);
      else e.code.i32(-1).op(W.i32_xor);
    }),
  );
  means(`neg${sizes[log]}f`, (e) => {
    const a = first(e, log);
    e.pushA(type);
    e.code.set(a);
    e.setFlags(FlagsClass.SUB, log, () => e.code.i64(0), () => pushWide(e, log, a));
    e.write(type, () => {
      if (wide(log)) e.code.i64(0).get(a).op(W.i64_sub);
      else e.code.i32(0).get(a).op(W.i32_sub);
    });
  });
  for (const [name, op, cls] of [["inc", W.i64_add, FlagsClass.INC], ["dec", W.i64_sub, FlagsClass.DEC]] as const) {
    means(`${name}${sizes[log]}f`, (e) => {
      e.pushCarry();
      e.code.set(e.p);
      pushExtended(e, log, true, (t) => e.pushA(t));
      e.code.i64(1).op(op).set(e.x);
      e.setFlags(cls, log, () => e.code.get(e.x), undefined, () => e.code.get(e.p).op(W.i64_extend_i32_u));
      writeNarrow(e, log, () => e.code.get(e.x));
    });
  }
}

// Bits.
means("bswap32", (e) => {
  e.pushA("i32");
  e.code.set(e.p);
  e.write("i32", () => {
    e.code.get(e.p).i32(8).op(W.i32_rotl).i32(0x00ff00ff).op(W.i32_and);
    e.code.get(e.p).i32(8).op(W.i32_rotr).i32(0xff00ff00 | 0).op(W.i32_and, W.i32_or);
  });
});
means("bswap64", (e) => {
  const c = e.code;
  e.pushA("i64");
  c.set(e.x);
  // Bytes in pairs, pairs in fours, fours.
  c.get(e.x).i64(8).op(W.i64_shr_u).i64(0x00ff00ff, 0x00ff00ff).op(W.i64_and);
  c.get(e.x).i64(0x00ff00ff, 0x00ff00ff).op(W.i64_and).i64(8).op(W.i64_shl, W.i64_or).set(e.x);
  c.get(e.x).i64(16).op(W.i64_shr_u).i64(0x0000ffff, 0x0000ffff).op(W.i64_and);
  c.get(e.x).i64(0x0000ffff, 0x0000ffff).op(W.i64_and).i64(16).op(W.i64_shl, W.i64_or).set(e.x);
  e.write("i64", () => c.get(e.x).i64(32).op(W.i64_rotl));
});
for (const log of logs) {
  for (const forward of [true, false]) {
    means(`${forward ? "bsf" : "bsr"}${sizes[log]}f`, (e) => {
      const c = e.code;
      pushExtended(e, log, false, (t) => e.pushA(t));
      c.set(e.x);
      e.setFlags(FlagsClass.LOGIC, log, () => c.get(e.x));
      c.get(e.x).op(W.i64_eqz, W.i32_eqz).if();
      writeNarrow(e, log, () => {
        if (forward) c.get(e.x).op(W.i64_ctz);
        else c.i64(63).get(e.x).op(W.i64_clz, W.i64_sub);
      });
      c.end();
    });
  }
  means(`popcnt${sizes[log]}f`, (e) => {
    pushExtended(e, log, false, (t) => e.pushA(t));
    e.code.set(e.x);
    e.setFlags(FlagsClass.EXPLICIT, 0, () => e.code.get(e.x).op(W.i64_eqz).i32(6).op(W.i32_shl, W.i64_extend_i32_u));
    writeNarrow(e, log, () => e.code.get(e.x).op(W.i64_popcnt));
  });
  means(`setresult${sizes[log]}`, (e) => {
    pushExtended(e, log, false, (t) => e.pushA(t));
    e.code.set(e.x);
    e.pushB("i8");
    e.code.i32(1).op(W.i32_and).i32(0x801).op(W.i32_mul).set(e.p);
    e.setFlags(FlagsClass.RESULT, log, () => e.code.get(e.x), undefined, () => e.code.get(e.p).op(W.i64_extend_i32_u));
  });
}
