/** Delivery of exceptions and interrupts. */
import * as L from "./layout";

export function deliver_fault(vp: u32): u32 {
  store<u32>(vp, 9, L.LEAVE);
  return 1;
}
