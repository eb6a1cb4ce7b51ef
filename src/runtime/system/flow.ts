/** Flags that system code changes, and waiting. */
import { setFlags } from "../flags";
import * as L from "../layout";
import { raise } from "../memory";
import {
  changeableFlags, cpl, F_AC, F_ARITHMETIC, F_IF, F_IOPL, gp, NM, postEvent, setEflags, ud, update_mode,
} from "./state";

/** a = the value popped, imm = its size. */
export function sys_popf(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const value = <u32>load<u64>(vp + a);
  const changeable = changeableFlags(vp, imm);
  const old = <u32>load<u64>(vp, L.EFLAGS);
  setFlags(vp, value);
  setEflags(vp, (old & ~changeable) | (value & changeable & ~F_ARITHMETIC));
  if (((old ^ value) & changeable & F_AC) != 0) update_mode(vp);
  return 0;
}

/** CLI (imm 0) and STI (imm 1). Interrupts come one instruction after STI has turned them on. */
export function sys_interrupt_flag(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const eflags = <u32>load<u64>(vp, L.EFLAGS);
  if (cpl(vp) > (eflags & F_IOPL) >> 12) return gp(vp, 0);
  if (imm == 0) setEflags(vp, eflags & ~F_IF);
  else if ((eflags & F_IF) == 0) {
    setEflags(vp, eflags | F_IF);
    store<u32>(vp, L.SHADOW_INTERRUPTS, L.INHIBIT);
  }
  return 0;
}

/** CLAC (imm 0) and STAC (imm 1). */
export function sys_access_check(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (cpl(vp) != 0) return ud(vp);
  const eflags = load<u64>(vp, L.EFLAGS);
  store<u64>(vp, imm != 0 ? eflags | F_AC : eflags & ~(<u64>F_AC), L.EFLAGS);
  update_mode(vp);
  return 0;
}

/** The engine finds HALTED at the next boundary. */
export function sys_hlt(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (cpl(vp) != 0) return gp(vp, 0);
  store<u32>(vp, 1, L.HALTED);
  store<u32>(vp, 0, L.INHIBIT);
  postEvent(vp, L.EVENT_HOST);
  return 0;
}

/** CR0.EM or CR0.TS is set: what x87 (imm 0), MMX and SSE (1) and WAIT (2) raise, if anything. */
export function sys_no_fpu(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const cr0 = load<u64>(vp, L.CR0);
  if (imm == 2) return (cr0 & 10) == 10 ? raise(vp, NM, 0) : 0;
  return imm == 1 && (cr0 & 4) != 0 ? ud(vp) : raise(vp, NM, 0);
}
