/** The state of a vCPU that enters a 64-bit kernel, and of one after power-on as far as that differs from zeros. */
import type { Vcpu } from "./vcpu.ts";

/** As a VMX access-rights field: type, S, DPL, P in bits 0-7, AVL L D G in 12-15. */
const code64 = 0xa09b;
const data = 0xc093;
const busyTss = 0x8b;
const ldt = 0x82;

export interface LongModeEntry {
  readonly entry: number;
  readonly rsi: number;
  readonly rsp: number;
  readonly rflags: number;
  readonly cr0: number;
  readonly cr3: number;
  readonly cr4: number;
  readonly efer: number;
  readonly gdtBase: number;
  readonly gdtLimit: number;
  readonly cs: number;
  readonly ds: number;
}

/** Registers as Linux's 64-bit boot protocol has them; everything else as after power-on. The caller updates the mode. */
export function enterLongMode(vcpu: Vcpu, at: LongModeEntry): void {
  for (let n = 0; n < 16; n++) vcpu.setRegister(n, 0n);
  vcpu.setRegister(4, BigInt(at.rsp));
  vcpu.setRegister(6, BigInt(at.rsi));
  vcpu.setU64("RIP", BigInt(at.entry));
  vcpu.setU64("EFLAGS", BigInt(at.rflags) | 2n);
  vcpu.setU64("DIRECTION", 1n);
  vcpu.setU64("CR0", BigInt(at.cr0));
  vcpu.setU64("CR3", BigInt(at.cr3));
  vcpu.setU64("CR4", BigInt(at.cr4));
  vcpu.setU64("EFER", BigInt(at.efer));
  vcpu.setU64("GDTR_BASE", BigInt(at.gdtBase));
  vcpu.setU32("GDTR_LIMIT", at.gdtLimit);
  for (let segment = 0; segment < 6; segment++) {
    vcpu.setU32("SEG_SELECTOR", segment === 1 ? at.cs : at.ds, segment);
    vcpu.setU32("SEG_LIMIT", 0xffffffff, segment);
    vcpu.setU32("SEG_FLAGS", segment === 1 ? code64 : data, segment);
  }
  vcpu.setU32("TR_FLAGS", busyTss);
  vcpu.setU32("TR_LIMIT", 0xffff);
  vcpu.setU32("LDTR_FLAGS", ldt);
  vcpu.setU64("XCR0", 1n);
  vcpu.setU64("PAT", 0x0007040600070406n);
  vcpu.setU64("DR", 0xffff0ff0n, 6);
  vcpu.setU64("DR", 0x400n, 7);
  vcpu.setU32("MXCSR", 0x1f80);
  vcpu.setX87Control(0x37f, 0xffff);
}
