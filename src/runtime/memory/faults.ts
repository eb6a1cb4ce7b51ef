/** Exceptions raised by the runtime: what is left in the record for delivery. */
import * as L from "../layout";

/** Reasons to leave translated code, as in vcpu/leave.ts. */
export const LEAVE_FAULT: u32 = 1;
export const LEAVE_LIFT: u32 = 2;
export const LEAVE_STEP: u32 = 6;

const SS: u32 = 12;
const GP: u32 = 13;
const PF: u32 = 14;

export function canonical(va: u64): bool {
  return <i64>(va << 16) >> 16 == <i64>va;
}

export function raise(vp: u32, vector: u32, error: u32): u32 {
  store<u32>(vp, vector, L.FAULT_VECTOR);
  store<u32>(vp, error, L.FAULT_ERROR);
  store<u32>(vp, LEAVE_FAULT, L.LEAVE);
  return LEAVE_FAULT;
}

export function raisePageFault(vp: u32, va: u64, error: u32): u32 {
  store<u64>(vp, va, L.FAULT_ADDRESS);
  raise(vp, PF, error);
  return 0;
}

/** #GP for an address that is not canonical; `stack_fault` may make #SS of it. Answers 0. */
export function raiseNonCanonical(vp: u32, va: u64): u32 {
  store<u64>(vp, va, L.FAULT_ADDRESS);
  raise(vp, GP, 0);
  return 0;
}

/** The faulting access was to the stack segment: what would be #GP for its address is #SS. */
export function stack_fault(vp: u32): void {
  if (load<u32>(vp, L.FAULT_VECTOR) != GP || canonical(load<u64>(vp, L.FAULT_ADDRESS))) return;
  store<u32>(vp, SS, L.FAULT_VECTOR);
}

/** The instruction must run alone. */
export function need_step(vp: u32): u32 {
  store<u32>(vp, LEAVE_STEP, L.LEAVE);
  return LEAVE_STEP;
}

/** #GP: an address that must be a multiple of 16 is not. */
export function raise_alignment(vp: u32): u32 {
  store<u64>(vp, 0, L.FAULT_ADDRESS);
  return raise(vp, 13, 0);
}

/** Ends a run after the current instruction (Event.stop). */
export function stop(vp: u32): void {
  store<u32>(vp, load<u32>(vp, L.EVENTS) | 8, L.EVENTS);
}
