/** Arithmetic flags from their lazy form (ir/flags.ts): operands stand at the top of 64 bits. */
import * as L from "./layout";
import { mulhs64 } from "./wide";

const CF: u32 = 0x001;
const PF: u32 = 0x004;
const AF: u32 = 0x010;
const ZF: u32 = 0x040;
const SF: u32 = 0x080;
const OF: u32 = 0x800;

function parity(low: u32): u32 {
  return (popcnt<u32>(low & 0xff) & 1) == 0 ? PF : 0;
}

/** What the lazy classes after RESULT come to: CF and OF at their places, with the result, at the top, in `lazyResult`. */
let lazyResult: u64 = 0;
function lazyCarry(vp: u32, kind: u32): u32 {
  const a = load<u64>(vp, L.CC_A);
  const count = load<u64>(vp, L.CC_C);
  const shift = <u64>(64 - (8 << (kind & 3)));
  switch (kind >> 2) {
    case 7: {
      lazyResult = a << count;
      const carry = <u32>(a >> (64 - count)) & 1;
      return carry | ((<u32>(lazyResult >> 63) ^ carry) << 11);
    }
    case 8: {
      const operand = a >> shift;
      lazyResult = (operand >> count) << shift;
      return (<u32>(operand >> (count - 1)) & 1) | (<u32>(a >> 63) << 11);
    }
    case 9: {
      const operand = <i64>a >> shift;
      lazyResult = <u64>(operand >> count) << shift;
      return <u32>(operand >> (count - 1)) & 1;
    }
    default: {
      const x = <i64>a >> shift;
      const y = <i64>load<u64>(vp, L.CC_B) >> shift;
      const product = x * y;
      lazyResult = <u64>product << shift;
      const fits = shift == 0 ? <i64>mulhs64(<u64>x, <u64>y) == product >> 63 : <i64>lazyResult >> shift == product;
      return fits ? 0 : CF | OF;
    }
  }
}

/** ZF PF CF of two doubles: all three where one is a NaN. */
function floatFlags(vp: u32): u32 {
  const a = load<f64>(vp, L.CC_A);
  const b = load<f64>(vp, L.CC_B);
  if (a < b) return CF;
  if (a > b) return 0;
  return a == b ? ZF : ZF | PF | CF;
}
const FLOAT: u32 = 11;
const INC: u32 = 12;
const DEC: u32 = 13;

/** What ZF, SF and PF are of a result at the top of 64 bits. */
function resultFlags(result: u64, shift: u64): u32 {
  return (result == 0 ? ZF : 0) | (<i64>result < 0 ? SF : 0) | parity(<u32>(result >> shift));
}

/** CF stays; OF where the result is the extreme value, AF where the low digit wrapped. */
function countFlags(vp: u32, cls: u32, result: u64, shift: u64): u32 {
  const extreme: u64 = cls == INC ? 0x8000000000000000 : (0x7fffffffffffffff >> shift) << shift;
  const digit: u64 = cls == INC ? 0 : 15;
  return (
    resultFlags(result, shift) | (result == extreme ? OF : 0) | (((result >> shift) & 15) == digit ? AF : 0) | (<u32>load<u64>(vp, L.CC_C) & CF)
  );
}

/** The six flags at their places in EFLAGS. */
export function flags(vp: u32): u32 {
  const kind = <u32>load<u64>(vp, L.CC_KIND);
  const a = load<u64>(vp, L.CC_A);
  const cls = kind >> 2;
  if (cls == 0) return <u32>a;
  const shift = <u64>(64 - (8 << (kind & 3)));
  if (cls == FLOAT) return floatFlags(vp);
  if (cls >= INC) return countFlags(vp, cls, a, shift);
  if (cls >= 7) return lazyCarry(vp, kind) | resultFlags(lazyResult, shift);
  if (cls >= 5) {
    const result = resultFlags(a, shift);
    return cls == 5 ? result : result | <u32>load<u64>(vp, L.CC_C);
  }
  const b = load<u64>(vp, L.CC_B);
  const carryIn = cls >= 3 ? load<u64>(vp, L.CC_C) << shift : 0;
  let result: u64;
  let carryOut: bool;
  let overflow: u64;
  if (cls == 1 || cls == 3) {
    result = a + b + carryIn;
    carryOut = result < a || (carryIn != 0 && result == a);
    overflow = ~(a ^ b) & (a ^ result);
  } else {
    result = a - b - carryIn;
    carryOut = a < b || (carryIn != 0 && a == b);
    overflow = (a ^ b) & (a ^ result);
  }
  const auxiliary = <u32>((a ^ b ^ result) >> shift) & AF;
  return (
    (carryOut ? CF : 0) | parity(<u32>(result >> shift)) | auxiliary | (result == 0 ? ZF : 0) | (<i64>result < 0 ? SF : 0) | (<i64>overflow < 0 ? OF : 0)
  );
}

/** CF by itself: what INC, DEC, ADC and many branches ask for. */
export function carry(vp: u32): u32 {
  const cls = <u32>load<u64>(vp, L.CC_KIND) >> 2;
  const a = load<u64>(vp, L.CC_A);
  switch (cls) {
    case 1:
      return a + load<u64>(vp, L.CC_B) < a ? 1 : 0;
    case 2:
      return a < load<u64>(vp, L.CC_B) ? 1 : 0;
    case 5:
      return 0;
    case 6:
    case 12:
    case 13:
      return <u32>load<u64>(vp, L.CC_C) & CF;
    case 0:
    case 3:
    case 4:
    case 11:
      return flags(vp) & CF;
    default:
      return lazyCarry(vp, <u32>load<u64>(vp, L.CC_KIND)) & CF;
  }
}

/** What ZF and SF are told from: 0 for ZF, negative for SF. Not for EXPLICIT and FLOAT. */
function resultOf(vp: u32, cls: u32): u64 {
  if (cls >= 7 && cls < FLOAT) {
    lazyCarry(vp, <u32>load<u64>(vp, L.CC_KIND));
    return lazyResult;
  }
  const a = load<u64>(vp, L.CC_A);
  if (cls >= 5) return a;
  const b = load<u64>(vp, L.CC_B);
  if (cls == 1) return a + b;
  if (cls == 2) return a - b;
  const carryIn = load<u64>(vp, L.CC_C) << <u64>(64 - (8 << (<u32>load<u64>(vp, L.CC_KIND) & 3)));
  return cls == 3 ? a + b + carryIn : a - b - carryIn;
}

/** Condition cc in x86's numbering (SDM 1, appendix B), 0 or 1. */
export function condition(vp: u32, cc: u32): u32 {
  const cls = <u32>load<u64>(vp, L.CC_KIND) >> 2;
  const negated = cc & 1;
  const which = cc >> 1;
  if (which == 1) return carry(vp) ^ negated;
  if (cls != 0 && cls != FLOAT) {
    if (which == 2) return (resultOf(vp, cls) == 0 ? 1 : 0) ^ negated;
    if (which == 4) return (<i64>resultOf(vp, cls) < 0 ? 1 : 0) ^ negated;
  }
  const f = flags(vp);
  let holds: bool;
  switch (which) {
    case 0:
      holds = (f & OF) != 0;
      break;
    case 2:
      holds = (f & ZF) != 0;
      break;
    case 3:
      holds = (f & (CF | ZF)) != 0;
      break;
    case 4:
      holds = (f & SF) != 0;
      break;
    case 5:
      holds = (f & PF) != 0;
      break;
    case 6:
      holds = ((f >> 7) & 1) != ((f >> 11) & 1);
      break;
    default:
      holds = (f & ZF) != 0 || ((f >> 7) & 1) != ((f >> 11) & 1);
  }
  return (holds ? 1 : 0) ^ negated;
}

/** Writes the arithmetic flags from their places in EFLAGS. */
export function setFlags(vp: u32, value: u32): void {
  store<u64>(vp, 0, L.CC_KIND);
  store<u64>(vp, <u64>(value & 0x8d5), L.CC_A);
}
