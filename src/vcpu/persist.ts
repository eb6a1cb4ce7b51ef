/**
 * A vCPU's state as a record: what a snapshot keeps, and what a vCPU needs to go on in another process.
 *
 * Left out is what is made anew (TLBs, translations, statistics) and what exists only inside an instruction.
 * Law: of two vCPUs with the same record a guest can tell neither from the other.
 */
import type { FieldName } from "./layout.ts";
import { Event, eventShift } from "./leave.ts";
import type { Vcpu } from "./vcpu.ts";

const kept = [
  ...([
    "GPR",
    "RIP",
    "EFLAGS",
    "DIRECTION",
    "XMM",
    "MXCSR",
    "FPR",
    "FCW",
    "FSW",
    "FTW",
    "FTOP",
    "FOP",
    "FIP",
    "FDP",
  ] as const),
  ...([
    "SEG_BASE",
    "SEG_SELECTOR",
    "SEG_LIMIT",
    "SEG_FLAGS",
    "GDTR_BASE",
    "GDTR_LIMIT",
    "IDTR_BASE",
    "IDTR_LIMIT",
  ] as const),
  ...([
    "LDTR_BASE",
    "LDTR_LIMIT",
    "LDTR_SELECTOR",
    "LDTR_FLAGS",
    "TR_BASE",
    "TR_LIMIT",
    "TR_SELECTOR",
    "TR_FLAGS",
  ] as const),
  ...(["CR0", "CR2", "CR3", "CR4", "CR8", "XCR0", "EFER", "DR", "CPL", "STAR", "LSTAR", "CSTAR", "SFMASK"] as const),
  ...(["KERNEL_GS_BASE", "SYSENTER_CS", "SYSENTER_ESP", "SYSENTER_EIP", "TSC_AUX", "TSC_OFFSET", "PAT"] as const),
  ...(["INHIBIT", "HALTED", "SIGNALS", "PENDING_DB", "NMI_BLOCKED", "DEBUG_ARMED", "RESUME", "STEP_TRAP"] as const),
  ...(["POSTED_IRR", "POSTED_LEVEL", "APIC_STATE", "IRQ_WAITING", "EVENTS", "ICOUNT"] as const),
] satisfies readonly FieldName[];

/** Bytes of each field, little-endian; EVENTS from its bit 0 on; `FLAGS`: the arithmetic flags at their places in EFLAGS. */
export type VcpuState = { readonly [field: string]: Uint8Array };

export class VcpuStateError extends Error {
  override name = "VcpuStateError";
}

/** `flags`: the vCPU's arithmetic flags. Requires: it is between two instructions. */
export function saveVcpu(vcpu: Vcpu, flags: number): VcpuState {
  const state: Record<string, Uint8Array> = { FLAGS: Uint8Array.of(flags & 0xff, (flags >> 8) & 0xff) };
  for (const name of kept) state[name] = vcpu.bytes(name);
  state.EVENTS = Uint8Array.of(vcpu.u32("EVENTS") >>> eventShift, 0, 0, 0);
  return state;
}

/** Throws `VcpuStateError` where a field is missing. The caller updates the mode and flushes the TLB. */
export function restoreVcpu(vcpu: Vcpu, state: VcpuState): void {
  for (const name of kept) {
    const field = vcpu.field(name);
    const bytes = state[name];
    if (bytes?.length !== field.stride * field.count) throw new VcpuStateError(`a vCPU's record has no good ${name}`);
    vcpu.arena.u8.set(bytes, vcpu.vp + field.offset);
  }
  vcpu.setU32("EVENTS", vcpu.u32("EVENTS") << eventShift);
  const flags = state.FLAGS;
  if (flags?.length !== 2) throw new VcpuStateError("a vCPU's record has no good FLAGS");
  vcpu.setU64("CC_KIND", 0n);
  vcpu.setU64("CC_A", BigInt(flags[0] | (flags[1] << 8)));
  // What threads ask of each other is asked anew.
  vcpu.clearEvent(~(Event.interrupt | Event.debug));
}
