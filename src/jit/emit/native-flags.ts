// biome-ignore-all format: short cases read better on one line
/**
 * Conditions in compiled regions, where it is often known which operation set the flags and how wide it was.
 *
 * Regions keep the operands of lazy flags as they came, not shifted to the top of 64 bits as the record has them: comparisons
 * are of the operation's own width, and the shift is made where a region is left.
 */
import { FlagsClass, opRows, type SizeLog2 } from "#ir";
import { type Code, W } from "#wasm";

/** Which operation set the flags: undefined where several may have. */
export interface FlagsOrigin {
  readonly cls: FlagsClass;
  readonly size: SizeLog2;
}

const origins: readonly (readonly [RegExp, FlagsClass])[] = [
  [/^(?:sub(\d+)i?f|cmp(\d+)i?|neg(\d+)f)$/, FlagsClass.SUB],
  [/^(?:(?:and|or|xor)(\d+)i?f|test(\d+)i?|bs[fr](\d+)f)$/, FlagsClass.LOGIC],
  [/^add(\d+)i?f$/, FlagsClass.ADD],
  [/^adc(\d+)i?f$/, FlagsClass.ADC],
  [/^sbb(\d+)i?f$/, FlagsClass.SBB],
  [/^setresult(\d+)$/, FlagsClass.RESULT],
  [/^inc(\d+)f$/, FlagsClass.INC],
  [/^dec(\d+)f$/, FlagsClass.DEC],
  [/^shl(\d+)if$/, FlagsClass.SHL],
  [/^shr(\d+)if$/, FlagsClass.SHR],
  [/^sar(\d+)if$/, FlagsClass.SAR],
  [/^imul(\d+)f$/, FlagsClass.MUL],
  [/^(?:setcarry|setflags|popcnt\d+f|v_ptest|v_same_string)$/, FlagsClass.EXPLICIT],
  [/^f(?:64|32)_comi$/, FlagsClass.FLOAT],
];

function originOfName(name: string): FlagsOrigin | undefined {
  for (const [pattern, cls] of origins) {
    const match = pattern.exec(name);
    if (match === null) continue;
    if (cls === FlagsClass.FLOAT) return { cls, size: 3 };
    const bits = match.slice(1).find((each) => each !== undefined);
    return { cls, size: bits === undefined ? 0 : ({ "8": 0, "16": 1, "32": 2, "64": 3 } as const)[bits as "8"] };
  }
  return undefined;
}

/** By operation number; null: nothing. Names are taken apart when they are first asked for: a machine's start asks for none. */
const originByOp: (FlagsOrigin | null | undefined)[] = [];

/** What is known after an operation, if it writes flags; of a shift by an immediate, if that is not 0. */
export function originOf(op: number): FlagsOrigin | undefined {
  originByOp[op] ??= originOfName(opRows[op].name) ?? null;
  return originByOp[op] ?? undefined;
}

/** The operands, each pushed as an i64 whose low bits count; of SUB and LOGIC zero-extended. */
export interface FlagOperands {
  a(): Code;
  b(): Code;
  c(): Code;
  /** Turns the two i64 on the stack into the high half of their signed product. */
  highProduct(): void;
}

const which = { overflow: 0, carry: 1, zero: 2, belowOrEqual: 3, sign: 4, parity: 5, less: 6, lessOrEqual: 7 } as const;
const comparisons: Record<number, readonly [op32: number, op64: number]> = {
  2: [W.i32_lt_u, W.i64_lt_u], 3: [W.i32_ge_u, W.i64_ge_u], 4: [W.i32_eq, W.i64_eq], 5: [W.i32_ne, W.i64_ne],
  6: [W.i32_le_u, W.i64_le_u], 7: [W.i32_gt_u, W.i64_gt_u], 12: [W.i32_lt_s, W.i64_lt_s], 13: [W.i32_ge_s, W.i64_ge_s],
  14: [W.i32_le_s, W.i64_le_s], 15: [W.i32_gt_s, W.i64_gt_s],
};
/** Comparisons that operands of 8 and 16 bits need not be shifted for: SUB's and LOGIC's are zero-extended. */
const unsigned: ReadonlySet<number> = new Set([W.i32_eq, W.i32_ne, W.i32_lt_u, W.i32_ge_u, W.i32_le_u, W.i32_gt_u]);
const isCount = (cls: FlagsClass): boolean => cls === FlagsClass.INC || cls === FlagsClass.DEC;
/** Places in EFLAGS: CF, ZF, SF, OF, PF. */
const place = { carry: 0, parity: 2, zero: 6, sign: 7, overflow: 11 } as const;

/** Pushes condition cc, 0 or 1; x86's numbering (SDM 1, appendix B). */
export function pushCondition(c: Code, cc: number, origin: FlagsOrigin, operands: FlagOperands): void {
  const one = new Conditions(c, origin, operands);
  const comparison = comparisons[cc];
  if (origin.cls === FlagsClass.FLOAT) return one.compareFloats(cc);
  if (origin.cls === FlagsClass.SUB && comparison !== undefined) return one.compare(comparison);
  if (origin.cls === FlagsClass.LOGIC && comparison !== undefined) return one.compareWithZero(cc, comparison);
  one.push(cc >> 1);
  if (cc & 1) c.op(W.i32_eqz);
}

/** Pushes CF, 0 or 1. */
export function pushCarryOf(c: Code, origin: FlagsOrigin, operands: FlagOperands): void {
  const one = new Conditions(c, origin, operands);
  if (origin.cls === FlagsClass.FLOAT) one.compareFloats(2 * which.carry);
  else one.push(which.carry);
}

class Conditions {
  readonly #c: Code;
  readonly #cls: FlagsClass;
  readonly #size: SizeLog2;
  readonly #operands: FlagOperands;
  readonly #wide: boolean;

  constructor(c: Code, { cls, size }: FlagsOrigin, operands: FlagOperands) {
    this.#c = c;
    this.#cls = cls;
    this.#size = size;
    this.#operands = operands;
    this.#wide = size === 3;
  }

  /** The condition is a comparison of a and b. */
  compare([op32, op64]: readonly [number, number]): void {
    if (this.#size < 2 && unsigned.has(op32)) {
      this.#operands.a().op(W.i32_wrap_i64);
      this.#operands.b().op(W.i32_wrap_i64, op32);
      return;
    }
    this.#a();
    this.#b();
    this.#c.op(this.#wide ? op64 : op32);
  }
  /** After LOGIC, CF and OF being zero: a comparison of the result with zero. */
  compareWithZero(cc: number, [op32, op64]: readonly [number, number]): void {
    if (cc === 2 || cc === 3) {
      this.#c.i32(cc & 1);
      return;
    }
    // Below or equal is equal.
    const [narrow, wide] = cc === 6 ? [W.i32_eq, W.i64_eq] : cc === 7 ? [W.i32_ne, W.i64_ne] : [op32, op64];
    if (this.#size < 2 && unsigned.has(narrow)) this.#operands.a().op(W.i32_wrap_i64);
    else this.#a();
    this.#zero();
    this.#c.op(this.#wide ? wide : narrow);
  }

  /** The condition is about the order of two doubles; unordered is less and equal at once, with even parity. */
  compareFloats(cc: number): void {
    const c = this.#c;
    const compare = (op: number): void => {
      this.#operands.a().op(W.f64_reinterpret_i64);
      this.#operands.b().op(W.f64_reinterpret_i64, op);
    };
    let negate = (cc & 1) !== 0;
    switch (cc >> 1) {
      case which.carry:
        compare(W.f64_ge);
        negate = !negate;
        break;
      case which.belowOrEqual:
        compare(W.f64_gt);
        negate = !negate;
        break;
      case which.zero:
      case which.lessOrEqual:
        compare(W.f64_lt);
        compare(W.f64_gt);
        c.op(W.i32_or);
        negate = !negate;
        break;
      case which.parity:
        this.#operands.a().op(W.f64_reinterpret_i64);
        this.#operands.a().op(W.f64_reinterpret_i64, W.f64_ne);
        this.#operands.b().op(W.f64_reinterpret_i64);
        this.#operands.b().op(W.f64_reinterpret_i64, W.f64_ne, W.i32_or);
        break;
      default:
        c.i32(0);
    }
    if (negate) c.op(W.i32_eqz);
  }

  push(condition: number): void {
    switch (condition) {
      case which.belowOrEqual:
        this.push(which.carry);
        this.push(which.zero);
        this.#c.op(W.i32_or);
        return;
      case which.less:
        this.push(which.sign);
        this.push(which.overflow);
        this.#c.op(W.i32_xor);
        return;
      case which.lessOrEqual:
        this.push(which.less);
        this.push(which.zero);
        this.#c.op(W.i32_or);
        return;
    }
    if (this.#cls === FlagsClass.EXPLICIT) return this.#bit(this.#operands.a(), explicitPlace[condition]);
    switch (condition) {
      case which.zero: return this.#isZero();
      case which.sign: return this.#isNegative(() => this.#result());
      case which.parity: return this.#evenParity();
      case which.carry: return this.#carry();
      default: return this.#overflow();
    }
  }

  #carry(): void {
    const cls = this.#cls;
    if (cls === FlagsClass.LOGIC) this.#c.i32(0);
    else if (cls === FlagsClass.RESULT || isCount(cls)) this.#bit(this.#operands.c(), place.carry);
    else if (cls === FlagsClass.MUL) this.#productDoesNotFit();
    else if (cls === FlagsClass.SHL || cls === FlagsClass.SHR || cls === FlagsClass.SAR) this.#shiftedOut();
    else if (cls === FlagsClass.SUB) {
      this.#a();
      this.#b();
      this.#c.op(this.#wide ? W.i64_lt_u : W.i32_lt_u);
    } else if (cls === FlagsClass.ADD) {
      this.#result();
      this.#a();
      this.#c.op(this.#wide ? W.i64_lt_u : W.i32_lt_u);
    } else {
      // Out of the top bit: of a + b + c where both are set, or one is and the sum's is not; of a - b - c likewise with ~a.
      const subtracts = cls === FlagsClass.SBB;
      this.#isNegative(() => {
        const a = (): void => {
          this.#a();
          if (subtracts) this.#not();
        };
        a();
        this.#b();
        this.#and();
        a();
        this.#b();
        this.#or();
        this.#result();
        if (!subtracts) this.#not();
        this.#and();
        this.#or();
      });
    }
  }

  #overflow(): void {
    const cls = this.#cls;
    if (cls === FlagsClass.LOGIC) this.#c.i32(0);
    else if (cls === FlagsClass.RESULT) this.#bit(this.#operands.c(), place.overflow);
    else if (isCount(cls)) this.#isExtreme();
    else if (cls === FlagsClass.MUL) this.#productDoesNotFit();
    else if (cls === FlagsClass.SAR) this.#c.i32(0);
    else if (cls === FlagsClass.SHR) this.#isNegative(() => this.#a());
    else if (cls === FlagsClass.SHL) {
      this.#isNegative(() => this.#result());
      this.#shiftedOut();
      this.#c.op(W.i32_xor);
    }
    else {
      const subtracts = cls === FlagsClass.SUB || cls === FlagsClass.SBB;
      this.#isNegative(() => {
        this.#a();
        this.#result();
        this.#xor();
        if (subtracts) this.#a();
        else this.#result();
        this.#b();
        this.#xor();
        this.#and();
      });
    }
  }

  /** Pushes the last bit that a shift took out. */
  #shiftedOut(): void {
    const left = this.#cls === FlagsClass.SHL;
    if (left) this.#a();
    else this.#operand();
    const push = (value: number): Code => (this.#wide ? this.#c.i64(value) : this.#c.i32(value));
    if (left) push(this.#wide ? 64 : 32);
    this.#count();
    if (!left) push(1);
    this.#c.op(this.#wide ? W.i64_sub : W.i32_sub);
    const right = this.#cls === FlagsClass.SAR ? [W.i32_shr_s, W.i64_shr_s] : [W.i32_shr_u, W.i64_shr_u];
    this.#c.op(right[this.#wide ? 1 : 0]);
    if (this.#wide) this.#c.op(W.i32_wrap_i64);
    this.#c.i32(1).op(W.i32_and);
  }
  /** Pushes whether the signed product has more bits than the operands. */
  #productDoesNotFit(): void {
    const { a, b } = this.#operands;
    if (this.#wide) {
      a();
      b();
      this.#operands.highProduct();
      a();
      b().op(W.i64_mul).i64(63).op(W.i64_shr_s, W.i64_ne);
      return;
    }
    const extend = [W.i64_extend8_s, W.i64_extend16_s, W.i64_extend32_s][this.#size];
    const product = (): Code => {
      a().op(extend);
      return b().op(extend, W.i64_mul);
    };
    product();
    product().op(extend, W.i64_ne);
  }
  /** Pushes the shift count. */
  #count(): void {
    this.#operands.c();
    if (!this.#wide) this.#c.op(W.i32_wrap_i64);
  }
  /** Pushes the first operand as a number: zero-extended, or sign-extended for SAR. */
  #operand(): void {
    this.#a();
    if (this.#size < 2) this.#c.i32(32 - (8 << this.#size)).op(this.#cls === FlagsClass.SAR ? W.i32_shr_s : W.i32_shr_u);
  }

  /** Pushes the result, at the top of its type. */
  #result(): void {
    const cls = this.#cls;
    if (cls === FlagsClass.SHR || cls === FlagsClass.SAR) {
      this.#operand();
      this.#count();
      if (cls === FlagsClass.SAR) this.#c.op(this.#wide ? W.i64_shr_s : W.i32_shr_s);
      else this.#c.op(this.#wide ? W.i64_shr_u : W.i32_shr_u);
      if (this.#size < 2) this.#c.i32(32 - (8 << this.#size)).op(W.i32_shl);
      return;
    }
    if (cls === FlagsClass.SHL) {
      this.#a();
      this.#count();
      this.#c.op(this.#wide ? W.i64_shl : W.i32_shl);
      return;
    }
    if (cls === FlagsClass.MUL) {
      this.#operands.a();
      this.#operands.b().op(W.i64_mul);
      this.#normalise();
      return;
    }
    this.#a();
    if (cls === FlagsClass.LOGIC || cls === FlagsClass.RESULT || isCount(cls)) return;
    const subtracts = cls === FlagsClass.SUB || cls === FlagsClass.SBB;
    const op = this.#wide ? (subtracts ? W.i64_sub : W.i64_add) : subtracts ? W.i32_sub : W.i32_add;
    this.#b();
    this.#c.op(op);
    if (cls !== FlagsClass.ADC && cls !== FlagsClass.SBB) return;
    this.#operands.c();
    this.#normalise();
    this.#c.op(op);
  }
  /** Pushes whether counting has passed from the greatest number to the least one, or back. */
  #isExtreme(): void {
    const c = this.#c;
    this.#a();
    if (this.#wide) c.i64(0, -0x80000000);
    else c.i32(-0x80000000);
    if (this.#cls === FlagsClass.DEC) {
      // The least one less 1, at the top of its type.
      if (this.#wide) c.i64(1).op(W.i64_sub);
      else c.i32(2 ** (32 - Math.min(32, 8 << this.#size))).op(W.i32_sub);
    }
    c.op(this.#wide ? W.i64_eq : W.i32_eq);
  }
  #isZero(): void {
    this.#result();
    this.#c.op(this.#wide ? W.i64_eqz : W.i32_eqz);
  }
  #isNegative(value: () => void): void {
    value();
    this.#zero();
    this.#c.op(this.#wide ? W.i64_lt_s : W.i32_lt_s);
  }
  /** PF: an even number of ones in the result's low byte. */
  #evenParity(): void {
    this.#result();
    if (this.#wide) this.#c.op(W.i32_wrap_i64);
    else if (this.#size < 2) this.#c.i32(32 - (8 << this.#size)).op(W.i32_shr_u);
    this.#c.i32(0xff).op(W.i32_and, W.i32_popcnt).i32(1).op(W.i32_and, W.i32_eqz);
  }
  /** Turns the i64 on the stack into one of its bits. */
  #bit(c: Code, bit: number): void {
    c.op(W.i32_wrap_i64);
    if (bit > 0) c.i32(bit).op(W.i32_shr_u);
    c.i32(1).op(W.i32_and);
  }

  #a(): void {
    this.#operands.a();
    this.#normalise();
  }
  #b(): void {
    this.#operands.b();
    this.#normalise();
  }
  /** An operand to the top of i32, or of i64 where it is one. */
  #normalise(): void {
    if (this.#wide) return;
    this.#c.op(W.i32_wrap_i64);
    if (this.#size < 2) this.#c.i32(32 - (8 << this.#size)).op(W.i32_shl);
  }
  #zero(): void {
    if (this.#wide) this.#c.i64(0);
    else this.#c.i32(0);
  }
  #not(): void {
    if (this.#wide) this.#c.i64(-1).op(W.i64_xor);
    else this.#c.i32(-1).op(W.i32_xor);
  }
  #and(): void {
    this.#c.op(this.#wide ? W.i64_and : W.i32_and);
  }
  #or(): void {
    this.#c.op(this.#wide ? W.i64_or : W.i32_or);
  }
  #xor(): void {
    this.#c.op(this.#wide ? W.i64_xor : W.i32_xor);
  }
}

const explicitPlace: Record<number, number> = {
  [which.overflow]: place.overflow, [which.carry]: place.carry, [which.zero]: place.zero, [which.sign]: place.sign, [which.parity]: place.parity,
};
