/** x87 loads and stores: between the register stack and raw bits. Signatures and their use: index.ts. */
import { Env, IE, OE, PE, stopped, UE } from "./environment";
import { F80, give, indefinite } from "./f80";
import { fromBcd, fromBinary, fromInteger, toBcd, toBinary, toInteger } from "./f80-convert";
import { begin, end, grow, isEmpty, mantissa, pop, push, put, signExp, st, stackFault } from "./x87-stack";

/** The high part of the last 80-bit store. */
let high: u32 = 0;

export function x87_high(vp: u32): u32 {
  return high;
}

export function x87_fld_sti(vp: u32, i: u32): void {
  begin(vp);
  if (isEmpty(vp, i)) {
    // An empty source underflows, whatever the register above the top holds.
    if (stackFault(vp, false)) grow(vp, indefinite());
    return;
  }
  const at = st(vp, i);
  push(vp, give(signExp(at), mantissa(at)));
}

export function x87_fld_f32(vp: u32, bits: u32): void {
  begin(vp);
  push(vp, fromBinary(bits, 23));
}

export function x87_fld_f64(vp: u32, bits: u64): void {
  begin(vp);
  push(vp, fromBinary(bits, 52));
}

export function x87_fld_f80(vp: u32, m: u64, se: u32): void {
  begin(vp);
  push(vp, give(se & 0xffff, m));
}

export function x87_fild(vp: u32, value: i64): void {
  begin(vp);
  push(vp, fromInteger(value));
}

export function x87_fbld(vp: u32, low: u64, top: u32): void {
  begin(vp);
  push(vp, fromBcd(low, top));
}

/** 1 while the store in progress must not reach memory, nor pop: an unmasked exception forbids it. */
let blocked: u32 = 0;

/** True when ST(0) is empty: the fault is set, and masked it stores an indefinite. */
function storesNothing(vp: u32): bool {
  begin(vp);
  blocked = 0;
  if (!isEmpty(vp, 0)) return false;
  if (!stackFault(vp, false)) blocked = 1;
  return true;
}

function storeBinary(vp: u32, F: u32, nan: u64): u64 {
  if (storesNothing(vp)) return nan;
  const at = st(vp, 0);
  const bits = toBinary(mantissa(at), signExp(at), F);
  if ((Env.raised & ~Env.masked & (IE | OE | UE)) != 0) {
    blocked = 1;
    Env.raised &= ~PE;
    Env.up = 0;
  }
  end(vp);
  return bits;
}

export function x87_fst_f32(vp: u32): u32 {
  return u32(storeBinary(vp, 23, 0xffc00000));
}

export function x87_fst_f64(vp: u32): u64 {
  return storeBinary(vp, 52, 0xfff8000000000000);
}

export function x87_fst_f80(vp: u32): u64 {
  if (storesNothing(vp)) {
    high = 0xffff;
    return 0xc000000000000000;
  }
  end(vp);
  const at = st(vp, 0);
  high = signExp(at);
  return mantissa(at);
}

function storeInteger(vp: u32, bits: u32, truncate: u32): i64 {
  if (storesNothing(vp)) return i64.MIN_VALUE >> (64 - bits);
  const at = st(vp, 0);
  const value = toInteger(mantissa(at), signExp(at), bits, truncate != 0);
  end(vp);
  if (stopped()) blocked = 1;
  return value;
}

export function x87_fist_i16(vp: u32, truncate: u32): i32 {
  return i32(storeInteger(vp, 16, truncate));
}

export function x87_fist_i32(vp: u32, truncate: u32): i32 {
  return i32(storeInteger(vp, 32, truncate));
}

export function x87_fist_i64(vp: u32, truncate: u32): i64 {
  return storeInteger(vp, 64, truncate);
}

export function x87_fbstp(vp: u32): u64 {
  if (storesNothing(vp)) {
    high = 0xffff;
    return 0xc000000000000000;
  }
  const at = st(vp, 0);
  const low = toBcd(mantissa(at), signExp(at));
  high = F80.se;
  end(vp);
  if (stopped()) blocked = 1;
  return low;
}

export function x87_store_blocked(vp: u32): u32 {
  return blocked;
}

/** Pops after a store, unless the store was blocked. */
export function x87_pop(vp: u32): void {
  if (!blocked) pop(vp);
}

export function x87_fst_sti(vp: u32, i: u32, popping: u32): void {
  begin(vp);
  if (isEmpty(vp, 0)) {
    if (!stackFault(vp, false)) return;
    put(vp, i, indefinite());
  } else {
    end(vp);
    const at = st(vp, 0);
    put(vp, i, give(signExp(at), mantissa(at)));
  }
  if (popping) pop(vp);
}
