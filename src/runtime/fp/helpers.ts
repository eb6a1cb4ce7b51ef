/**
 * x87 and MMX instructions as the IR's helpers: (vp, a, b, imm), a and b being fields of the record. Each waiting instruction
 * raises #MF first where an exception waits. The kinds in imm are numbered as jit/lift/x87.ts has them.
 */
import { BOUNCE, LEAVE, SCRATCH } from "../layout";
import { access, commit, raise, READ, WRITE } from "../memory";
import { copyIn, copyOut } from "../system/extended-state";
import {
  x87_arith_f32, x87_arith_f64, x87_arith_int, x87_arith_sti, x87_arith_to_sti, x87_com_f32, x87_com_f64, x87_com_int, x87_com_sti,
  x87_comi as compareToFlags, x87_fcmov, x87_ffree, x87_fxch,
} from "./x87-arithmetic";
import { x87_d9_group } from "./x87-d9";
import {
  x87_fbld, x87_fbstp, x87_fild, x87_fist_i16, x87_fist_i32, x87_fist_i64, x87_fld_f32, x87_fld_f64, x87_fld_f80, x87_fld_sti,
  x87_fst_f32, x87_fst_f64, x87_fst_f80, x87_fst_sti, x87_high, x87_pop, x87_store_blocked,
} from "./x87-memory";
import { C1, fsw, isEmpty, pop, setFsw } from "./x87-stack";
import {
  emms, mmx_enter, x87_check_pending, x87_fldcw, x87_fldenv, x87_fnclex, x87_fninit, x87_fnsave, x87_fnstcw, x87_fnstenv,
  x87_fnstsw, x87_frstor,
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

/** #MF where an unmasked x87 exception waits. */
export function x87_wait(vp: u32, a: u32, b: u32, imm: u32): u32 {
  return waits(vp) ? mathFault(vp) : 0;
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

/** Pushes what was read: a holds it, b its upper part where it has ten bytes. imm: the format. */
export function x87_load(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (waits(vp)) return mathFault(vp);
  switch (imm) {
    case 0:
      x87_fld_f32(vp, load<u32>(vp + a));
      break;
    case 1:
      x87_fld_f64(vp, load<u64>(vp + a));
      break;
    case 2:
      x87_fld_f80(vp, load<u64>(vp + a), load<u16>(vp + b));
      break;
    case 3:
      x87_fild(vp, load<i64>(vp + a));
      break;
    default:
      x87_fbld(vp, load<u64>(vp + a), load<u16>(vp + b));
  }
  return 0;
}

/** Bytes of each format that is stored: f32 f64 f80 i16 i32 i64 BCD. */
function storedBytes(format: u32): u32 {
  switch (format) {
    case 0:
    case 4:
      return 4;
    case 1:
    case 5:
      return 8;
    case 3:
      return 2;
    default:
      return 10;
  }
}

/**
 * Stores ST(0). a: the field with the linear address; imm: the format, 0x10 pop afterwards, 0x20 truncate. Whether memory is
 * writable is found out first, so that a fault leaves no trace.
 */
export function x87_store(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (waits(vp)) return mathFault(vp);
  const format = imm & 15;
  const size = storedBytes(format);
  const va = load<u64>(vp + a);
  // Ten bytes are two stores.
  if (size == 10 && access(vp, va, 8, WRITE) == 0) return load<u32>(vp, LEAVE);
  const at = access(vp, va, size, WRITE);
  if (at == 0) return load<u32>(vp, LEAVE);
  const truncate = (imm >> 5) & 1;
  let bits: u64;
  switch (format) {
    case 0:
      bits = x87_fst_f32(vp);
      break;
    case 1:
      bits = x87_fst_f64(vp);
      break;
    case 2:
      bits = x87_fst_f80(vp);
      break;
    case 3:
      bits = u64(x87_fist_i16(vp, truncate));
      break;
    case 4:
      bits = u64(x87_fist_i32(vp, truncate));
      break;
    case 5:
      bits = u64(x87_fist_i64(vp, truncate));
      break;
    default:
      bits = x87_fbstp(vp);
  }
  if (x87_store_blocked(vp) == 0) {
    if (size == 4) store<u32>(at, u32(bits));
    else if (size == 2) store<u16>(at, u16(bits));
    else {
      store<u64>(at, bits);
      if (size == 10) store<u16>(at, u16(x87_high(vp)), 8);
    }
    if (at == vp + BOUNCE) commit(vp, va, size);
  }
  if ((imm & 0x10) != 0) x87_pop(vp);
  return 0;
}

/** imm: bits 0-2 the operation, 4-6 the form, 8-10 i. a: what was read from memory. */
export function x87_arith(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (waits(vp)) return mathFault(vp);
  const op = imm & 7;
  const i = (imm >> 8) & 7;
  switch ((imm >> 4) & 7) {
    case 0:
      x87_arith_f32(vp, op, load<u32>(vp + a));
      break;
    case 1:
      x87_arith_f64(vp, op, load<u64>(vp + a));
      break;
    case 2:
      x87_arith_int(vp, op, load<i32>(vp + a));
      break;
    case 3:
      x87_arith_sti(vp, op, i);
      break;
    case 4:
      x87_arith_to_sti(vp, op, i, 0);
      break;
    default:
      x87_arith_to_sti(vp, op, i, 1);
  }
  return 0;
}

/** imm: bits 0-1 registers to pop, 2 quiet, 4-6 the form as in `x87_arith`, 8-10 i. */
export function x87_compare(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (waits(vp)) return mathFault(vp);
  const pops = imm & 3;
  switch ((imm >> 4) & 7) {
    case 0:
      x87_com_f32(vp, load<u32>(vp + a), pops);
      break;
    case 1:
      x87_com_f64(vp, load<u64>(vp + a), pops);
      break;
    case 2:
      x87_com_int(vp, load<i32>(vp + a), pops);
      break;
    default:
      x87_com_sti(vp, (imm >> 8) & 7, (imm >> 2) & 1, pops);
  }
  return 0;
}

/** FCOMI and its kin, imm as in `x87_compare`; a: the field that takes the flags. */
export function x87_compare_flags(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (waits(vp)) return mathFault(vp);
  store<u64>(vp + a, compareToFlags(vp, (imm >> 8) & 7, (imm >> 2) & 1, imm & 3));
  return 0;
}

/** imm: bits 0-3 which, 8-10 i. a: FCMOV's condition. */
export function x87_register(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (waits(vp)) return mathFault(vp);
  const i = (imm >> 8) & 7;
  switch (imm & 15) {
    case 0:
      x87_fld_sti(vp, i);
      break;
    case 1:
      x87_fst_sti(vp, i, 0);
      break;
    case 2:
      x87_fst_sti(vp, i, 1);
      break;
    case 3:
      x87_fxch(vp, i);
      break;
    case 4:
      x87_fcmov(vp, i, load<u8>(vp + a));
      break;
    case 5:
      x87_ffree(vp, i, 0);
      break;
    case 6:
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

/** Control words and flags. a: the field of what is read or written. Only FLDCW waits. */
export function x87_control(vp: u32, a: u32, b: u32, imm: u32): u32 {
  switch (imm) {
    case 0:
      x87_fninit(vp);
      break;
    case 1:
      x87_fnclex(vp);
      break;
    case 2:
      if (waits(vp)) return mathFault(vp);
      x87_fldcw(vp, load<u16>(vp + a));
      break;
    case 3:
      store<u64>(vp + a, x87_fnstcw(vp));
      break;
    default:
      store<u64>(vp + a, x87_fnstsw(vp));
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
