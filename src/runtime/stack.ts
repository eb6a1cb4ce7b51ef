/** POPA, which keeps the registers that it had read when a page turns out to be absent. */
import * as L from "./layout";
import { accessAs, READ } from "./memory";

const RSP: u32 = 4;

/** a = field with the linear address of the top of the stack, imm = operand size; rSP is left alone. */
export function popa(vp: u32, a: u32, b: u32, imm: u32): u32 {
  let va = <u32>load<u64>(vp + a);
  const mode = load<u32>(vp, L.MODE) & 3;
  store<u32>(vp, 0, L.LEAVE);
  for (let n: i32 = 7; n >= 0; n--, va += imm) {
    const at = accessAs(vp, <u64>va, imm, READ, mode);
    if (at == 0) return 1;
    if (n == RSP) continue;
    const register = vp + L.GPR + (n << 3);
    if (imm == 2) store<u16>(register, load<u16>(at));
    else store<u64>(register, <u64>load<u32>(at));
  }
  return 0;
}
