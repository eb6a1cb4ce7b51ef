/**
 * x87 and MMX instructions as the IR's helpers: (vp, a, b, imm), a and b being fields of the record. Each waiting instruction
 * raises #MF first where an exception waits. The kinds in imm are numbered as jit/lift/x87.ts has them.
 */
import { BOUNCE, LEAVE, SCRATCH } from "../layout";
import { access, commit, raise, READ, WRITE } from "../memory";
import { copyIn, copyOut } from "../system/extended-state";
import { x87_fcmov, x87_ffree } from "./x87-arithmetic";
import { x87_d9_group } from "./x87-d9";
import { x87_fbld, x87_fbstp, x87_fst_sti, x87_high, x87_pop, x87_store_blocked } from "./x87-memory";
import { C1, fsw, isEmpty, pop, setFsw } from "./x87-stack";
import {
  emms, mmx_enter, x87_check_pending, x87_fldcw, x87_fldenv, x87_fnclex, x87_fninit, x87_fnsave, x87_fnstenv, x87_frstor,
} from "./x87-state";

const MF: u32 = 16;

// @ts-ignore: decorator
@inline
function waits(vp: u32): bool {
  return x87_check_pending(vp) != 0;
}
function mathFault(vp: u32): u32 {
  return raise(vp, MF, 0);
}

/** What every MMX instruction does to the x87 state. */
export function mmx_begin(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (waits(vp)) return mathFault(vp);
  mmx_enter(vp);
  return 0;
}

export function mmx_emms(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (waits(vp)) return mathFault(vp);
  emms(vp);
  return 0;
}

/** FBLD: pushes what was read; a holds it, b its upper part. */
export function x87_load_decimal(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (waits(vp)) return mathFault(vp);
  x87_fbld(vp, load<u64>(vp + a), load<u16>(vp + b));
  return 0;
}

/** FBSTP. a: the field with the linear address. Whether memory is writable is found out first, so that a fault leaves no trace. */
export function x87_store_decimal(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (waits(vp)) return mathFault(vp);
  const va = load<u64>(vp + a);
  // Ten bytes are two stores.
  if (access(vp, va, 8, WRITE) == 0) return load<u32>(vp, LEAVE);
  const at = access(vp, va, 10, WRITE);
  if (at == 0) return load<u32>(vp, LEAVE);
  const bits = x87_fbstp(vp);
  if (x87_store_blocked(vp) == 0) {
    store<u64>(at, bits);
    store<u16>(at, u16(x87_high(vp)), 8);
    if (at == vp + BOUNCE) commit(vp, va, 10);
  }
  x87_pop(vp);
  return 0;
}

/** imm: bits 0-3 which, 8-10 i. a: FCMOV's condition. */
export function x87_register(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (waits(vp)) return mathFault(vp);
  const i = (imm >> 8) & 7;
  switch (imm & 15) {
    case 0:
      x87_fcmov(vp, i, load<u8>(vp + a));
      break;
    case 1:
      x87_ffree(vp, i, 0);
      break;
    case 2:
      x87_ffree(vp, i, 1);
      break;
    default:
      // FSTP by its undocumented code D9 /3: an empty register is no fault.
      if (isEmpty(vp, 0)) {
        setFsw(vp, fsw(vp) & ~C1);
        pop(vp);
      } else x87_fst_sti(vp, i, 1);
  }
  return 0;
}

/** D9 D0, D9 E0 to FF; imm: ModRM. */
export function x87_top(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (waits(vp)) return mathFault(vp);
  x87_d9_group(vp, imm);
  return 0;
}

/** FNINIT, FNCLEX, FLDCW (a: the field with the word), of which only the last waits. */
export function x87_control(vp: u32, a: u32, b: u32, imm: u32): u32 {
  switch (imm) {
    case 0:
      x87_fninit(vp);
      break;
    case 1:
      x87_fnclex(vp);
      break;
    default:
      if (waits(vp)) return mathFault(vp);
      x87_fldcw(vp, load<u16>(vp + a));
  }
  return 0;
}

/** True when `size` bytes at `va`, less than a page, are there for `intent`; else LEAVE is set. Of the second page the last byte is looked at. */
function isThere(vp: u32, va: u64, size: u32, intent: u32): bool {
  return access(vp, va, size == 14 || size == 94 ? 2 : 4, intent) != 0 && access(vp, va + size - 1, 1, intent) != 0;
}

/** Environments and whole states. a: the field with the linear address; imm: 1 the 16-bit layout, 2 whole, 4 load. */
export function x87_environment(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const small = imm & 1;
  const va = load<u64>(vp + a);
  const image = vp + SCRATCH;
  const size: u32 = (small != 0 ? 14 : 28) + ((imm & 2) != 0 ? 80 : 0);
  if ((imm & 4) != 0) {
    if (waits(vp)) return mathFault(vp);
    if (!isThere(vp, va, size, READ) || !copyIn(vp, va, 0, size)) return load<u32>(vp, LEAVE);
    if ((imm & 2) != 0) x87_frstor(vp, image, small);
    else x87_fldenv(vp, image, small);
    return 0;
  }
  if (!isThere(vp, va, size, WRITE)) return load<u32>(vp, LEAVE);
  if ((imm & 2) != 0) x87_fnsave(vp, image, small);
  else x87_fnstenv(vp, image, small);
  return copyOut(vp, va, 0, size) ? 0 : load<u32>(vp, LEAVE);
}
