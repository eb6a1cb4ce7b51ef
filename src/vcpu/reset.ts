/** The state of a vCPU that enters a 64-bit kernel, and of one after power-on as far as that differs from zeros. */
import type { Vcpu } from "./vcpu.ts";

/** As a VMX access-rights field: type, S, DPL, P in bits 0-7, AVL L D G in 12-15. */
const code64 = 0xa09b;
const data = 0xc093;
const busyTss = 0x8b;
const ldt = 0x82;
/** Of real mode's segments. */
const realCode = 0x9b;
const realData = 0x93;
const realLimit = 0xffff;
/** What EDX holds after INIT: family, model and stepping (x86/cpuid.ts). */
const edxAfterInit = 0x00a00f11n;
const rdx = 2;
const CS = 1;
/** CD and NW, which INIT leaves alone; and ET. */
const keptCr0 = 0x6000_0000n;
const ET = 0x10n;

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
  vcpu.setU64("DR", 0xffff0ff0n, 6);
  vcpu.setU64("DR", 0x400n, 7);
  powerOnRegisters(vcpu);
}

/**
 * INIT (SDM 3A, "Processor State After Reset", the column of INIT): real mode at the reset vector. FPU, vector and
 * model-specific registers stay, but for EFER. The caller flushes the TLB and updates the mode.
 */
export function initialize(vcpu: Vcpu): void {
  for (let n = 0; n < 16; n++) vcpu.setRegister(n, n === rdx ? edxAfterInit : 0n);
  vcpu.setU64("EFLAGS", 2n);
  vcpu.setU64("DIRECTION", 1n);
  vcpu.setU64("CC_KIND", 0n);
  vcpu.setU64("CC_A", 0n);
  vcpu.setU64("CR0", (vcpu.u64("CR0") & keptCr0) | ET);
  for (const field of ["CR2", "CR3", "CR4", "CR8", "EFER", "GDTR_BASE", "IDTR_BASE", "LDTR_BASE", "TR_BASE"] as const) {
    vcpu.setU64(field, 0n);
  }
  for (const field of ["GDTR_LIMIT", "IDTR_LIMIT", "LDTR_LIMIT", "TR_LIMIT"] as const) vcpu.setU32(field, realLimit);
  vcpu.setU32("LDTR_SELECTOR", 0);
  vcpu.setU32("TR_SELECTOR", 0);
  vcpu.setU32("LDTR_FLAGS", ldt);
  vcpu.setU32("TR_FLAGS", busyTss);
  for (let segment = 0; segment < 6; segment++) {
    vcpu.setU32("SEG_SELECTOR", 0, segment);
    vcpu.setU64("SEG_BASE", 0n, segment);
    vcpu.setU32("SEG_LIMIT", realLimit, segment);
    vcpu.setU32("SEG_FLAGS", segment === CS ? realCode : realData, segment);
  }
  startAt(vcpu, 0xf000, 0xffff_0000n, 0xfff0n);
  for (let n = 0; n < 4; n++) vcpu.setU64("DR", 0n, n);
  vcpu.setU64("DR", 0xffff0ff0n, 6);
  vcpu.setU64("DR", 0x400n, 7);
  for (const field of [
    "CPL",
    "INHIBIT",
    "IRQ_WAITING",
    "NMI_BLOCKED",
    "DEBUG_ARMED",
    "PENDING_DB",
    "RESUME",
  ] as const) {
    vcpu.setU32(field, 0);
  }
}

/** A startup IPI: real-mode code at the start of page `vector`. Requires: the state that INIT left. */
export function startUp(vcpu: Vcpu, vector: number): void {
  startAt(vcpu, vector << 8, BigInt(vector << 12), 0n);
}

function startAt(vcpu: Vcpu, selector: number, base: bigint, rip: bigint): void {
  vcpu.setU32("SEG_SELECTOR", selector, CS);
  vcpu.setU64("SEG_BASE", base, CS);
  vcpu.setU64("RIP", rip);
}

/** Registers that no INIT touches, as after power-on: of a vCPU that waits for its first startup IPI. */
export function powerOnRegisters(vcpu: Vcpu): void {
  vcpu.setU64("XCR0", 1n);
  vcpu.setU64("PAT", 0x0007040600070406n);
  vcpu.setU32("MXCSR", 0x1f80);
  vcpu.setX87Control(0x37f, 0xffff);
}
