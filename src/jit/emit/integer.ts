// biome-ignore-all format: tables of operations read better in rows
/**
 * Semantics of the integer, memory and flag operations. Control operations (jmp, jcc, call, ...) belong to the executors,
 * which each have their own way of going somewhere.
 */
import { type FieldType, FlagsClass, type SizeLog2 } from "#ir";
import { at } from "#vcpu";
import { A, type Code, type Local, V, W } from "#wasm";
import { Intent, type OpEmitter, type Semantics } from "./op-emitter.ts";

const sizes = [8, 16, 32, 64] as const;
const types = ["i8", "i16", "i32", "i64"] as const satisfies readonly FieldType[];
const logs = [0, 1, 2, 3] as const satisfies readonly SizeLog2[];

export const integerSemantics = new Map<string, Semantics>();
const means = (name: string, semantics: Semantics): void => {
  integerSemantics.set(name, semantics);
};

/** Wasm arithmetic of the width an operation computes in: i32 up to 32 bits, i64 for 64. */
const wide = (log: SizeLog2): boolean => log === 3;
const alu = (log: SizeLog2, op32: number, op64: number): number => (wide(log) ? op64 : op32);

/** The scratch locals for two operands of an operation of this width. */
const first = (e: OpEmitter, log: SizeLog2) => (wide(log) ? e.x : e.p);
const second = (e: OpEmitter, log: SizeLog2) => (wide(log) ? e.y : e.q);
const result = (e: OpEmitter, log: SizeLog2) => (wide(log) ? e.z : e.r);

/** Pushes a scratch local as i64. */
function pushWide(e: OpEmitter, log: SizeLog2, local: number): void {
  e.code.get(local);
  if (!wide(log)) e.code.op(W.i64_extend_i32_u);
}
/** Pushes operand b, or the immediate, in the operation's width. */
function pushSource(e: OpEmitter, log: SizeLog2, immediate: boolean): void {
  if (!immediate) e.pushB(types[log]);
  else if (wide(log)) e.pushImm64();
  else e.pushImm32();
}
/** Pushes field a zero- or sign-extended to i64. */
function pushExtended(e: OpEmitter, log: SizeLog2, signed: boolean, push: (type: FieldType) => void): void {
  push(types[log]);
  if (wide(log)) return;
  e.code.op(signed ? W.i64_extend_i32_s : W.i64_extend_i32_u);
  if (signed && log < 2) e.code.op(log === 0 ? W.i64_extend8_s : W.i64_extend16_s);
}
/** Writes d from an i64 on the stack that `value` pushes. */
function writeNarrow(e: OpEmitter, log: SizeLog2, value: () => void): void {
  e.write(types[log], () => {
    value();
    if (!wide(log)) e.code.op(W.i32_wrap_i64);
  });
}

// Moves.
for (const log of logs) means(`mov${sizes[log]}`, (e) => e.write(types[log], () => e.pushA(types[log])));
means("movw32", (e) => e.write("w32", () => e.pushA("w32")));
means("movv", (e) => e.write("v128", () => e.pushA("v128")));
means("const8", (e) => e.write("i8", () => e.pushImm32()));
means("const16", (e) => e.write("i16", () => e.pushImm32()));
means("const64", (e) => e.write("i64", () => e.pushImm64()));
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
  // CF stays; OF where the result is the extreme value, AF where the low digit wrapped.
  for (const [name, op, extreme, digit] of [["inc", W.i64_add, -1, 0], ["dec", W.i64_sub, 0, 15]] as const) {
    means(`${name}${sizes[log]}f`, (e) => {
      e.pushCarry();
      e.code.set(e.p);
      pushExtended(e, log, true, (t) => e.pushA(t));
      e.code.i64(1).op(op).set(e.x);
      e.setFlags(FlagsClass.RESULT, log, () => e.code.get(e.x), undefined, () => {
        // inc: result (as wrapped) is the most negative; dec: the most positive.
        pushShifted(e, log, e.x);
        if (extreme === -1) e.code.i64(0, 0x80000000 | 0).op(W.i64_eq);
        else pushTop(e, log).op(W.i64_eq);
        e.code.i32(11).op(W.i32_shl).get(e.p).op(W.i32_or);
        e.code.get(e.x).op(W.i32_wrap_i64).i32(15).op(W.i32_and).i32(digit).op(W.i32_eq).i32(4).op(W.i32_shl).op(W.i32_or);
        e.code.op(W.i64_extend_i32_u);
      });
      writeNarrow(e, log, () => e.code.get(e.x));
    });
  }
}
/** Pushes a local's low bits shifted to the top of 64. */
function pushShifted(e: OpEmitter, log: SizeLog2, local: number): void {
  e.code.get(local);
  if (log < 3) e.code.i64(64 - (8 << log)).op(W.i64_shl);
}
/** Pushes the most positive value of a width, shifted to the top. */
function pushTop(e: OpEmitter, log: SizeLog2) {
  if (log === 3) return e.code.i64(-1, 0x7fffffff);
  const bits = 8 << log;
  return e.code.i64(0, bits === 32 ? 0x7fffffff : ((2 ** (bits - 1) - 1) * 2 ** (32 - bits)) | 0);
}

// Shifts and rotates. x = operand (i64), q = masked count (i32), y = result.
type Shift = (e: OpEmitter, log: SizeLog2) => void;
const bitsOf = (log: SizeLog2): number => 8 << log;

/** Pushes q as i64. */
const count = (e: OpEmitter) => e.code.get(e.q).op(W.i64_extend_i32_u);
/** Pushes bit 0 of an i64 on the stack as i32. */
const lowBit = (e: OpEmitter) => e.code.op(W.i32_wrap_i64).i32(1).op(W.i32_and);
/** Pushes a local's bit `below` places under the top bit of the width, as i32. */
function signOf(e: OpEmitter, log: SizeLog2, local: number, below = 0): void {
  e.code.get(local).i64(bitsOf(log) - 1 - below).op(W.i64_shr_u);
  lowBit(e);
}

/** Flags of a rotate, which leaves all but CF and OF alone. The count is not zero. */
interface RotateFlags {
  /** Pushes CF as i32. */
  readonly carry: Shift;
  /** Pushes OF as i32, with CF in p. */
  readonly overflow: Shift;
}
interface ShiftRow {
  readonly signed: boolean;
  /** Leaves the result in y. */
  readonly compute: Shift;
  /** The class of a shift's lazy flags. */
  readonly flags: FlagsClass | RotateFlags;
}

function rotate(e: OpEmitter, log: SizeLog2, left: boolean): void {
  if (log === 3) {
    e.code.get(e.x);
    count(e).op(left ? W.i64_rotl : W.i64_rotr).set(e.y);
    return;
  }
  if (log === 2) {
    e.code.get(e.x).op(W.i32_wrap_i64).get(e.q).op(left ? W.i32_rotl : W.i32_rotr).op(W.i64_extend_i32_u).set(e.y);
    return;
  }
  // Replicated to 32 bits, a rotate of any width is a rotate of 32.
  e.code.get(e.x).op(W.i32_wrap_i64).i32(log === 0 ? 0x01010101 : 0x00010001).op(W.i32_mul);
  e.code.get(e.q).op(left ? W.i32_rotl : W.i32_rotr).i32(log === 0 ? 0xff : 0xffff).op(W.i32_and).op(W.i64_extend_i32_u).set(e.y);
}

const shiftRows: Record<string, ShiftRow> = {
  shl: {
    signed: false,
    flags: FlagsClass.SHL,
    compute: (e) => {
      e.code.get(e.x);
      count(e).op(W.i64_shl).set(e.y);
    },
  },
  shr: {
    signed: false,
    flags: FlagsClass.SHR,
    compute: (e) => {
      e.code.get(e.x);
      count(e).op(W.i64_shr_u).set(e.y);
    },
  },
  sar: {
    signed: true,
    flags: FlagsClass.SAR,
    compute: (e) => {
      e.code.get(e.x);
      count(e).op(W.i64_shr_s).set(e.y);
    },
  },
  rol: {
    signed: false,
    compute: (e, log) => rotate(e, log, true),
    flags: {
      carry: (e) => {
        e.code.get(e.y);
        lowBit(e);
      },
      overflow: (e, log) => {
        signOf(e, log, e.y);
        e.code.get(e.p).op(W.i32_xor);
      },
    },
  },
  ror: {
    signed: false,
    compute: (e, log) => rotate(e, log, false),
    flags: {
      carry: (e, log) => signOf(e, log, e.y),
      overflow: (e, log) => {
        signOf(e, log, e.y);
        signOf(e, log, e.y, 1);
        e.code.op(W.i32_xor);
      },
    },
  },
};
function lastOut(e: OpEmitter, shift: number): void {
  e.code.get(e.x).get(e.q).i32(1).op(W.i32_sub, W.i64_extend_i32_u, shift);
  lowBit(e);
}

for (const [name, row] of Object.entries(shiftRows)) {
  for (const log of logs) {
    for (const immediate of [false, true]) {
      const operands = (e: OpEmitter): void => {
        if (immediate) e.pushImm32();
        else e.pushB("i8");
        e.code.i32(log === 3 ? 63 : 31).op(W.i32_and).set(e.q);
        pushExtended(e, log, row.signed, (t) => e.pushA(t));
        e.code.set(e.x);
      };
      const i = immediate ? "i" : "";
      means(`${name}${sizes[log]}${i}`, (e) => {
        operands(e);
        row.compute(e, log);
        writeNarrow(e, log, () => e.code.get(e.y));
      });
      means(`${name}${sizes[log]}${i}f`, (e) => {
        operands(e);
        row.compute(e, log);
        shiftFlags(e, log, row, immediate);
        writeNarrow(e, log, () => e.code.get(e.y));
      });
    }
  }
}
/** Flags of a shift of x by q, unless q is 0. */
function shiftFlags(e: OpEmitter, log: SizeLog2, { flags }: ShiftRow, immediate: boolean): void {
  const known = immediate && e.imm !== undefined ? e.imm & (log === 3 ? 63 : 31) : undefined;
  if (known === 0) return;
  if (known === undefined) e.code.get(e.q).if();
  if (typeof flags === "number") e.setFlags(flags, log, () => e.code.get(e.x), undefined, () => count(e));
  else rotateFlags(e, log, flags);
  if (known === undefined) e.code.end();
}
function rotateFlags(e: OpEmitter, log: SizeLog2, { carry, overflow }: RotateFlags): void {
  carry(e, log);
  e.code.set(e.p);
  overflow(e, log);
  e.code.i32(11).op(W.i32_shl).get(e.p).op(W.i32_or).set(e.p);
  e.pushFlags();
  e.code.i32(~0x801).op(W.i32_and).get(e.p).op(W.i32_or).set(e.p);
  e.setFlags(FlagsClass.EXPLICIT, 0, () => e.code.get(e.p).op(W.i64_extend_i32_u));
}

// Rotates through carry: the operand and CF make one number of bits + 1 bits.
for (const left of [true, false]) {
  for (const log of logs) {
    const bits = bitsOf(log);
    means(`${left ? "rcl" : "rcr"}${sizes[log]}f`, (e) => {
      const c = e.code;
      e.pushB("i8");
      c.i32(log === 3 ? 63 : 31).op(W.i32_and);
      if (log < 2) c.i32(bits + 1).op(W.i32_rem_u);
      c.set(e.q);
      e.pushCarry();
      c.set(e.r);
      pushExtended(e, log, false, (t) => e.pushA(t));
      c.tee(e.x).set(e.y);
      c.get(e.q).if();
      if (log === 3) {
        // z = bits that come around from the other end; the last bit out is the new carry.
        c.get(e.x).i64(1).op(left ? W.i64_shr_u : W.i64_shl).i64(64);
        count(e).op(W.i64_sub, left ? W.i64_shr_u : W.i64_shl).set(e.z);
        c.get(e.x);
        count(e).op(left ? W.i64_shl : W.i64_shr_u).get(e.z).op(W.i64_or);
        c.get(e.r).op(W.i64_extend_i32_u);
        if (left) c.get(e.q).i32(1).op(W.i32_sub, W.i64_extend_i32_u, W.i64_shl);
        else {
          c.i64(64);
          count(e).op(W.i64_sub, W.i64_shl);
        }
        c.op(W.i64_or).set(e.y);
        c.get(e.x);
        if (left) {
          c.i64(64);
          count(e).op(W.i64_sub);
        } else c.get(e.q).i32(1).op(W.i32_sub, W.i64_extend_i32_u);
        c.op(W.i64_shr_u);
        lowBit(e);
        c.set(e.p);
      } else {
        c.get(e.r).op(W.i64_extend_i32_u).i64(bits).op(W.i64_shl).get(e.x).op(W.i64_or).set(e.z);
        c.get(e.z);
        count(e).op(left ? W.i64_shl : W.i64_shr_u);
        c.get(e.z).i64(bits + 1);
        count(e).op(W.i64_sub, left ? W.i64_shr_u : W.i64_shl, W.i64_or).set(e.y);
        c.get(e.y).i64(bits).op(W.i64_shr_u);
        lowBit(e);
        c.set(e.p);
        if (log === 2) c.get(e.y).op(W.i32_wrap_i64, W.i64_extend_i32_u).set(e.y);
        else c.get(e.y).i64(2 ** bits - 1).op(W.i64_and).set(e.y);
      }
      signOf(e, log, e.y);
      if (left) c.get(e.p);
      else signOf(e, log, e.y, 1);
      c.op(W.i32_xor).i32(11).op(W.i32_shl).get(e.p).op(W.i32_or).set(e.p);
      e.pushFlags();
      c.i32(~0x801).op(W.i32_and).get(e.p).op(W.i32_or).set(e.p);
      e.setFlags(FlagsClass.EXPLICIT, 0, () => c.get(e.p).op(W.i64_extend_i32_u));
      c.end();
      writeNarrow(e, log, () => c.get(e.y));
    });
  }
}

// Double shifts: x = the operand, z = the one that fills.
for (const left of [true, false]) {
  for (const log of logs) {
    const bits = bitsOf(log);
    means(`${left ? "shld" : "shrd"}${sizes[log]}f`, (e) => {
      const c = e.code;
      e.pushB("i8");
      c.i32(log === 3 ? 63 : 31).op(W.i32_and).set(e.q);
      pushExtended(e, log, false, (t) => e.pushD(t));
      c.tee(e.x).set(e.y);
      pushExtended(e, log, false, (t) => e.pushA(t));
      c.set(e.z);
      c.get(e.q).if();
      if (log === 3) {
        c.get(e.x);
        count(e).op(left ? W.i64_shl : W.i64_shr_u).get(e.z).i64(64);
        count(e).op(W.i64_sub, left ? W.i64_shr_u : W.i64_shl, W.i64_or).set(e.y);
      } else {
        const [high, low] = left ? [e.x, e.z] : [e.z, e.x];
        // For 16 bits, counts past 16 bring the operand in again (as processors do; the manual leaves it open).
        c.get(high).i64(bits).op(W.i64_shl).get(low).op(W.i64_or);
        if (log === 1 && left) {
          c.i64(16).op(W.i64_shl).get(e.x).op(W.i64_or);
          count(e).op(W.i64_shl).i64(32).op(W.i64_shr_u).set(e.y);
        } else if (log === 1) {
          c.get(e.x).i64(32).op(W.i64_shl, W.i64_or);
          count(e).op(W.i64_shr_u).set(e.y);
        } else if (left) {
          count(e).op(W.i64_shl).i64(32).op(W.i64_shr_u).set(e.y);
        } else {
          count(e).op(W.i64_shr_u).set(e.y);
        }
        if (log === 2) c.get(e.y).op(W.i32_wrap_i64, W.i64_extend_i32_u).set(e.y);
        else c.get(e.y).i64(2 ** bits - 1).op(W.i64_and).set(e.y);
      }
      shiftFlagsOfDouble(e, log, left);
      c.end();
      writeNarrow(e, log, () => c.get(e.y));
    });
  }
}
function shiftFlagsOfDouble(e: OpEmitter, log: SizeLog2, left: boolean): void {
  const c = e.code;
  if (left) {
    c.get(e.x).i64(bitsOf(log));
    count(e).op(W.i64_sub, W.i64_shr_u);
    lowBit(e);
  } else lastOut(e, W.i64_shr_u);
  c.set(e.p);
  // OF: the sign changed.
  signOf(e, log, e.y);
  signOf(e, log, e.x);
  c.op(W.i32_xor).i32(11).op(W.i32_shl).get(e.p).op(W.i32_or).set(e.p);
  e.setFlags(FlagsClass.RESULT, log, () => c.get(e.y), undefined, () => c.get(e.p).op(W.i64_extend_i32_u));
}

// Products.
for (const log of logs) {
  means(`imul${sizes[log]}`, (e) =>
    e.write(types[log], () => {
      e.pushA(types[log]);
      e.pushB(types[log]);
      e.code.op(alu(log, W.i32_mul, W.i64_mul));
    }),
  );
  means(`imul${sizes[log]}f`, (e) => {
    const c = e.code;
    pushExtended(e, log, true, (t) => e.pushA(t));
    c.set(e.x);
    pushExtended(e, log, true, (t) => e.pushB(t));
    c.set(e.y);
    c.get(e.x).get(e.y).op(W.i64_mul).set(e.z);
    e.setFlags(FlagsClass.MUL, log, () => c.get(e.x), () => c.get(e.y));
    writeNarrow(e, log, () => c.get(e.z));
  });
}
// The upper half of a product, by the halves of its factors: WebAssembly has no wide product, and a call costs more than all of this.
for (const [name, signed] of [["mulhu64", false], ["mulhs64", true]] as const) {
  means(name, (e) => {
    const c = e.code;
    const low = (local: Local) => c.get(local).i64(-1, 0).op(W.i64_and);
    const high = (local: Local) => c.get(local).i64(32).op(W.i64_shr_u);
    e.pushA("i64");
    c.set(e.x);
    e.pushB("i64");
    c.set(e.y);
    low(e.x);
    low(e.y).op(W.i64_mul).i64(32).op(W.i64_shr_u);
    high(e.x);
    low(e.y).op(W.i64_mul, W.i64_add).set(e.z);
    e.write("i64", () => {
      high(e.x);
      high(e.y).op(W.i64_mul);
      high(e.z).op(W.i64_add);
      low(e.z);
      low(e.x);
      high(e.y).op(W.i64_mul, W.i64_add).i64(32).op(W.i64_shr_u, W.i64_add);
      if (!signed) return;
      // A negative factor counts 2^64 too much.
      c.get(e.x).i64(63).op(W.i64_shr_s).get(e.y).op(W.i64_and, W.i64_sub);
      c.get(e.y).i64(63).op(W.i64_shr_s).get(e.x).op(W.i64_and, W.i64_sub);
    });
  });
}

// Quotients. x = the low half of what is divided, or all of it; y = the high half, then the quotient; z = the divisor.
const raiseDivide = (e: OpEmitter): void => {
  e.code.unlikely().if();
  e.code.get(e.vp);
  e.callRuntime("raise_divide");
  e.leaveIf();
  e.code.end();
};
/** y = x / z, signed; with z = -1 without the trap that WebAssembly has for the least number. */
function signedQuotient(e: OpEmitter): void {
  const c = e.code;
  c.get(e.z).op(W.i64_eqz);
  raiseDivide(e);
  c.get(e.z).i64(-1).op(W.i64_eq).unlikely().if();
  c.i64(0).get(e.x).op(W.i64_sub).set(e.y).else();
  c.get(e.x).get(e.z).op(W.i64_div_s).set(e.y).end();
}
function pushDividend(e: OpEmitter): Code {
  e.pushA("i32");
  e.code.op(W.i64_extend_i32_u);
  e.pushD("i32");
  return e.code.op(W.i64_extend_i32_u).i64(32).op(W.i64_shl, W.i64_or);
}
means("udiv32", (e) => {
  const c = e.code;
  pushDividend(e).set(e.x);
  e.pushB("i32");
  c.op(W.i64_extend_i32_u).set(e.z);
  c.get(e.x).i64(32).op(W.i64_shr_u).get(e.z).op(W.i64_ge_u);
  raiseDivide(e);
  e.write("i32", () => c.get(e.x).get(e.z).op(W.i64_div_u, W.i32_wrap_i64));
});
means("sdiv32", (e) => {
  const c = e.code;
  pushDividend(e).set(e.x);
  e.pushB("i32");
  c.op(W.i64_extend_i32_s).set(e.z);
  signedQuotient(e);
  c.get(e.y).op(W.i64_extend32_s).get(e.y).op(W.i64_ne);
  raiseDivide(e);
  e.write("i32", () => c.get(e.y).op(W.i32_wrap_i64));
});
const pushOperands64 = (e: OpEmitter): Code => {
  e.pushA("i64");
  e.code.set(e.x);
  e.pushD("i64");
  e.code.set(e.y);
  e.pushB("i64");
  return e.code.set(e.z);
};
means("udiv64", (e) => {
  const c = pushOperands64(e);
  c.get(e.y).get(e.z).op(W.i64_ge_u);
  raiseDivide(e);
  c.get(e.y).op(W.i64_eqz, W.i32_eqz).unlikely().if();
  c.get(e.y).get(e.x).get(e.z);
  e.callRuntime("quotient");
  c.set(e.y).else();
  c.get(e.x).get(e.z).op(W.i64_div_u).set(e.y).end();
  e.write("i64", () => c.get(e.y));
});
means("sdiv64", (e) => {
  const c = pushOperands64(e);
  c.get(e.x).i64(63).op(W.i64_shr_s).get(e.y).op(W.i64_ne).unlikely().if();
  c.get(e.vp).get(e.y).get(e.x).get(e.z);
  e.callRuntime("signed_quotient");
  c.set(e.y);
  c.get(e.vp).memory(W.i32_load, at.LEAVE);
  e.leaveIf();
  c.else();
  signedQuotient(e);
  // The one that fits no 64 bits: of the least number by -1.
  c.get(e.x).get(e.y).op(W.i64_and).i64(0).op(W.i64_lt_s).get(e.z).i64(-1).op(W.i64_eq, W.i32_and);
  raiseDivide(e);
  c.end();
  e.write("i64", () => c.get(e.y));
});

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
      e.write("i64", () => {
        e.pushCondition(cc, known);
        e.code.op(W.i64_extend_i32_u);
      }),
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

// Memory.
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
    const exact = op === W.i32_load8_u || op === W.i32_load16_u;
    e.write(type, () => e.load(bytes, intent, () => e.code.memory(op, 0)), exact);
  });
}
for (const [name, type, bytes, op] of loadOps) meansLoad(name, type, bytes, Intent.read, op);
for (const log of logs) meansLoad(`ldm${sizes[log]}`, types[log], 1 << log, Intent.modify, [W.i32_load8_u, W.i32_load16_u, W.i32_load, W.i64_load][log]);
for (const [bits, op] of [[32, V.v128_load32_zero], [64, V.v128_load64_zero]] as const) {
  meansBoth(`ldz${bits}_128`, (e) => {
    e.address();
    e.write("v128", () => e.load(bits / 8, Intent.read, () => e.code.vectorMemory(op, 0)));
  });
}
for (const aligned of [false, true]) {
  const a = aligned ? "a" : "";
  meansBoth(`ldv${a}`, (e) => {
    e.address();
    if (aligned) checkAlignment(e);
    e.write("v128", () => e.load(16, Intent.read, () => e.code.vectorMemory(V.v128_load, 0)));
  });
  meansBoth(`stv${a}`, (e) => {
    e.address();
    if (aligned) checkAlignment(e);
    e.store(16, () => {
      e.pushD("v128");
      e.code.vectorMemory(V.v128_store, 0);
    });
  });
}
means("canonical", (e) => {
  e.pushA("i64");
  e.code.tee(e.x).i64(16).op(W.i64_shl).i64(16).op(W.i64_shr_s).get(e.x).op(W.i64_ne).unlikely().if();
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
    e.store(1 << log, () => {
      if (e.storeLane?.(log)) return;
      e.pushD(types[log]);
      e.code.memory([W.i32_store8, W.i32_store16, W.i32_store, W.i64_store][log], 0);
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
  e.store(8, () => {
    value();
    e.code.memory(W.i64_store, 0);
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
  e.load(8, Intent.read, () => e.code.memory(W.i64_load, 0));
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
      e.exclusive(1 << log, () => {
        e.pushD(types[log]);
        if (name === "cmpxchg") e.pushC(types[log]);
        e.code.atomic(ops[log], log, 0).set(old);
      });
      e.write(types[log], () => e.code.get(old));
    });
  }
}

means("stop", (e) => {
  e.code.get(e.vp);
  e.callRuntime("stop");
});
