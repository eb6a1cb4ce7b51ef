// biome-ignore-all format: tables of operations read better in rows
/** Semantics of shifts and rotates. x = operand (i64), q = masked count (i32), y = result. */
import { FlagsClass, type SizeLog2 } from "#ir";
import { W } from "#wasm";
import { logs, pushExtended, sizes, writeNarrow } from "./integer-width.ts";
import type { OpEmitter, Semantics } from "./op-emitter.ts";

export const shiftSemantics = new Map<string, Semantics>();
const means = (name: string, semantics: Semantics): void => {
  shiftSemantics.set(name, semantics);
};

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
