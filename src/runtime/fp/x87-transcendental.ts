/** The transcendental x87 instructions on the vCPU record; their mathematics is in f80-transcendental.ts. */
import { BIAS, F80, give, indefinite, isInfinite, isOdd, J } from "./f80";
import { f80Atan, f80Cos, f80Exp2m1, f80Log, f80LogPlus1, f80Sin, f80Tan, isOutOfRange } from "./f80-transcendental";
import { stopped } from "./environment";
import {
  begin, C2, end, finish, fsw, grow, isEmpty, mantissa, needs, needs0, pop, put, setFsw, signExp, st, stackFault,
} from "./x87-stack";

/** C2 = 0, or 1 and C1 = 0 when the argument is out of range; then nothing else happens. */
function outOfRange(vp: u32): bool {
  const at = st(vp, 0);
  const out = isOutOfRange(mantissa(at), signExp(at));
  if (out) end(vp);
  setFsw(vp, (fsw(vp) & ~C2) | (out ? C2 : 0));
  return out;
}

export function fsin(vp: u32): void {
  begin(vp);
  setFsw(vp, fsw(vp) & ~C2);
  if (!needs0(vp) || outOfRange(vp)) return;
  const at = st(vp, 0);
  finish(vp, 0, f80Sin(mantissa(at), signExp(at)));
}

export function fcos(vp: u32): void {
  begin(vp);
  setFsw(vp, fsw(vp) & ~C2);
  if (!needs0(vp) || outOfRange(vp)) return;
  const at = st(vp, 0);
  finish(vp, 0, f80Cos(mantissa(at), signExp(at)));
}

/** Stack faults of FSINCOS and FPTAN, which replace one value by two. True: there was one. */
function faultsPushing(vp: u32): bool {
  const empty = isEmpty(vp, 0);
  if (!empty && isEmpty(vp, 7)) return false;
  setFsw(vp, fsw(vp) & ~C2);
  if (stackFault(vp, !empty)) {
    put(vp, 0, indefinite());
    grow(vp, indefinite());
  }
  return true;
}

export function fsincos(vp: u32): void {
  begin(vp);
  if (faultsPushing(vp) || outOfRange(vp)) return;
  const at = st(vp, 0);
  const m = mantissa(at);
  const se = signExp(at);
  const cos = f80Cos(m, se);
  const cosSe = F80.se;
  if (!finish(vp, 0, f80Sin(m, se))) return;
  grow(vp, give(cosSe, cos));
}

export function fptan(vp: u32): void {
  begin(vp);
  if (faultsPushing(vp) || outOfRange(vp)) return;
  const at = st(vp, 0);
  const m = mantissa(at);
  const se = signExp(at);
  const strange = isOdd(m, se) || isInfinite(m, se);
  const tan = f80Tan(m, se);
  if (!finish(vp, 0, tan)) return;
  // A NaN is pushed in the place of 1.
  grow(vp, strange ? tan : give(u32(BIAS), J));
}

export function f2xm1(vp: u32): void {
  begin(vp);
  if (!needs0(vp)) return;
  const at = st(vp, 0);
  finish(vp, 0, f80Exp2m1(mantissa(at), signExp(at)));
}

/** ST(1) = f(ST(1), ST(0)), then a pop. */
// @ts-ignore: decorator
@inline
function binary(vp: u32, operation: u32): void {
  begin(vp);
  if (needs(vp, 1, 1)) {
    const y = st(vp, 1);
    const x = st(vp, 0);
    const ym = mantissa(y);
    const yse = signExp(y);
    const xm = mantissa(x);
    const xse = signExp(x);
    let m: u64;
    if (operation == 0) m = f80Atan(ym, yse, xm, xse);
    else if (operation == 1) m = f80Log(ym, yse, xm, xse);
    else m = f80LogPlus1(ym, yse, xm, xse);
    finish(vp, 1, m);
  }
  if (!stopped()) pop(vp);
}

export function fpatan(vp: u32): void {
  binary(vp, 0);
}

export function fyl2x(vp: u32): void {
  binary(vp, 1);
}

export function fyl2xp1(vp: u32): void {
  binary(vp, 2);
}
