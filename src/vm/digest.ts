// biome-ignore-all format: the list of fields reads better in rows
/**
 * A digest of a whole machine: what two runs must agree in.
 *
 * It covers what a guest could ever see: the architectural state of its CPU, its memory, its devices; not how it is being
 * run (TLBs, translated code, lazy flags). Two runs that print the same digests at the same instruction are the same run.
 */
import type { FieldName, Vcpu } from "#vcpu";

/** Fields of the record that a guest can see, but for the arithmetic flags. */
const architectural = [
  "GPR", "RIP", "EFLAGS", "SEG_BASE", "XMM", "FPR", "FCW", "FSW", "FTOP", "FTW", "MXCSR", "SEG_SELECTOR", "SEG_LIMIT", "SEG_FLAGS",
  "GDTR_BASE", "IDTR_BASE", "LDTR_BASE", "TR_BASE", "GDTR_LIMIT", "IDTR_LIMIT", "LDTR_LIMIT", "TR_LIMIT", "LDTR_SELECTOR", "TR_SELECTOR",
  "LDTR_FLAGS", "TR_FLAGS", "CR0", "CR2", "CR3", "CR4", "CR8", "XCR0", "EFER", "DR", "STAR", "LSTAR", "CSTAR", "SFMASK",
  "KERNEL_GS_BASE", "TSC_AUX", "TSC_OFFSET", "PAT", "CPL", "HALTED", "SIGNALS", "NMI_BLOCKED", "ICOUNT",
] as const satisfies readonly FieldName[];

export interface DigestSource {
  flags(vp: number): number;
  digest_bytes(seed: bigint, at: number, size: number): bigint;
  /** Of what is in frames. */
  digest_memory(space: number): bigint;
}

export interface MachineDigest {
  readonly cpu: string;
  readonly memory: string;
  readonly devices: string;
}

/** `absent`: the digests of pages that no frame holds, exclusive or. */
export function digestMachine(
  vcpus: readonly Vcpu[], space: number, absent: bigint, devices: Uint8Array, source: DigestSource,
): MachineDigest {
  const cpu = vcpus.reduce((seed, vcpu) => digestVcpu(seed, vcpu, source), 0n);
  return { cpu: hex(cpu), memory: hex(source.digest_memory(space) ^ absent), devices: hex(mix(0n, devices)) };
}

function digestVcpu(seed: bigint, vcpu: Vcpu, source: DigestSource): bigint {
  let cpu = seed ^ BigInt(source.flags(vcpu.vp));
  for (const name of architectural) {
    const field = vcpu.field(name);
    const bytes = Math.ceil((field.stride * field.count) / 8) * 8;
    const start = (vcpu.vp + field.offset) & ~7;
    cpu = field.stride * field.count >= 8 ? source.digest_bytes(cpu, start, bytes) : mix(cpu, vcpu.bytes(name));
  }
  return cpu;
}

const hex = (value: bigint): string => BigInt.asUintN(64, value).toString(16).padStart(16, "0");

/** FNV-1a over bytes. */
function mix(seed: bigint, bytes: Uint8Array): bigint {
  let low = Number(BigInt.asUintN(32, seed)) ^ 0x84222325;
  let high = Number(BigInt.asUintN(32, seed >> 32n)) ^ 0x1b873593;
  for (const byte of bytes) {
    low = Math.imul(low ^ byte, 0x01000193);
    high = Math.imul(high ^ byte, 0x85ebca6b) + (low >>> 16);
  }
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}
