/** Exceptions raised by the runtime: what is left in the record for delivery. */
import * as L from "../layout";

/** Reasons to leave translated code, as in vcpu/leave.ts. */
export const LEAVE_FAULT: u32 = 1;
export const LEAVE_LIFT: u32 = 2;
export const LEAVE_STEP: u32 = 6;
const LEAVE_INTERPRET: u32 = 11;

const NOWHERE: u64 = 0x8000000000000000;

const SS: u32 = 12;
const GP: u32 = 13;
const PF: u32 = 14;

export function canonical(va: u64): bool {
  return <i64>(va << 16) >> 16 == <i64>va;
}

export function raise(vp: u32, vector: u32, error: u32): u32 {
  store<u32>(vp, vector, L.FAULT_VECTOR);
  store<u32>(vp, error, L.FAULT_ERROR);
  store<u64>(vp, 0, L.FAULT_ADDRESS);
  store<u32>(vp, LEAVE_FAULT, L.LEAVE);
  return LEAVE_FAULT;
}

export function raisePageFault(vp: u32, va: u64, error: u32): u32 {
  raise(vp, PF, error);
  store<u64>(vp, va, L.FAULT_ADDRESS);
  return 0;
}

/** Whether an access may go from `first` to `last`: both canonical, or outside 64-bit code in the same 4 GiB. */
export function isInSegment(vp: u32, first: u64, last: u64): bool {
  if (!canonical(last)) return false;
  return last >> 32 != 1 || first >> 32 != 0 || (load<u32>(vp, L.MODE) & 12) == 0;
}

/** #GP for an address that no segment has; `stack_fault` knows it again and may make #SS of it. Answers 0. */
export function raiseNonCanonical(vp: u32): u32 {
  raise(vp, GP, 0);
  store<u64>(vp, NOWHERE, L.FAULT_ADDRESS);
  return 0;
}

/** The faulting access was to the stack segment: what would be #GP for its address is #SS. */
export function stack_fault(vp: u32): void {
  if (load<u32>(vp, L.FAULT_VECTOR) != GP || load<u64>(vp, L.FAULT_ADDRESS) != NOWHERE) return;
  store<u32>(vp, SS, L.FAULT_VECTOR);
}

/** The instruction must run alone. */
export function need_step(vp: u32): u32 {
  store<u32>(vp, LEAVE_STEP, L.LEAVE);
  return LEAVE_STEP;
}

/** Compiled code cannot do this: the interpreter goes on at the instruction. */
export function need_interpreter(vp: u32): u32 {
  store<u32>(vp, LEAVE_INTERPRET, L.LEAVE);
  return LEAVE_INTERPRET;
}

/** #GP: an address that must be a multiple of 16 is not. */
export function raise_alignment(vp: u32): u32 {
  return raise(vp, GP, 0);
}

/** Ends a run after the current instruction (Event.stop). */
export function stop(vp: u32): void {
  atomic.or<u32>(vp + L.EVENTS, L.EVENT_STOP);
}
