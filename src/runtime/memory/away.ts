/**
 * Pages that are far away, and a guest that would rather do something else than wait for them: KVM's asynchronous page faults
 * (Documentation/virt/kvm/x86/msr.rst, MSR_KVM_ASYNC_PF_EN; vm/async-faults.ts).
 *
 * An access of user code to such a page raises a page fault of a kind of its own, with the guest frame in place of an address. Nothing has
 * happened by that: who drops it, as a lookahead does, has lost nothing. When it is to be delivered, the host is asked, who gives a token
 * for the guest, or brings the page in; then the instruction is tried again.
 */
import * as L from "../layout";
import { comesAtOnce, deferFault } from "../host";
import { raisePageFault } from "./faults";
import { entryOf } from "./frames";

/** In place of an error code. */
const AWAY: u32 = 0xffffffff;
const PF: u32 = 14;
const F_IF: u64 = 0x200;

/** Whether an access is not to wait for the guest frame; then the fault is raised. */
export function isAway(vp: u32, gfn: u64): bool {
  if (load<u32>(vp, L.ASYNC_FAULTS) == 0) return false;
  // The guest's kernel may sleep where it has interrupts on and holds nothing: in user code, and not in the middle of an event.
  if (load<u32>(vp, L.CPL) != 3 || load<u32>(vp, L.STEPPING) != 0 || (load<u64>(vp, L.EFLAGS) & F_IF) == 0) return false;
  const space = load<u32>(vp, L.SPACE);
  const at = entryOf(space, gfn);
  if (at == 0 || (load<u32>(at) & (L.E_RAM | L.E_PRESENT | L.E_BACKED)) != (L.E_RAM | L.E_BACKED)) return false;
  if (comesAtOnce(space, <u32>gfn) != 0) return false;
  raisePageFault(vp, gfn, AWAY);
  return true;
}

/** Makes of the fault that is to be delivered one that the guest knows; true where there is none any more. Any other fault stays. */
export function isDefused(vp: u32): bool {
  if (load<u32>(vp, L.FAULT_ERROR) != AWAY || load<u32>(vp, L.FAULT_VECTOR) != PF) return false;
  const token = deferFault(load<u32>(vp, L.SPACE), <u32>load<u64>(vp, L.FAULT_ADDRESS));
  if (token == 0) {
    store<u32>(vp, 0, L.LEAVE);
    return true;
  }
  raisePageFault(vp, token, 0);
  return false;
}
