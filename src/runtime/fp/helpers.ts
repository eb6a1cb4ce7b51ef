/**
 * x87 and MMX instructions as the IR's helpers: (vp, a, b, imm), a and b being fields of the record with what was read from
 * memory or is to be stored. Each waiting instruction raises #MF first where an exception waits.
 */
import { raise } from "../memory";
import { emms as leaveMmx, mmx_enter, x87_check_pending } from "./x87-state";

const MF: u32 = 16;

/** #MF where an unmasked x87 exception waits. */
export function x87_wait(vp: u32, a: u32, b: u32, imm: u32): u32 {
  return x87_check_pending(vp) != 0 ? raise(vp, MF, 0) : 0;
}

/** What every MMX instruction does to the x87 state. */
export function mmx_begin(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (x87_check_pending(vp) != 0) return raise(vp, MF, 0);
  mmx_enter(vp);
  return 0;
}

export function mmx_emms(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (x87_check_pending(vp) != 0) return raise(vp, MF, 0);
  leaveMmx(vp);
  return 0;
}
