/**
 * Which forms of the decoder's table the oracle can try in user mode on this CPU, and why not the others.
 *
 * Privileged forms are tried: they must end in #GP(0). What is left out is what enters the host's kernel or
 * hypervisor, what the host answers by itself, and what has no meaning that two machines share.
 */
import type { InstructionRow } from "#x86";
import { cpuFeatures } from "./native.ts";

const kernel = "enters the host's kernel";
const hypervisor = "enters the host's hypervisor";
const machine = "its answer is the machine's own";
const umip = "the host's kernel answers in its stead (UMIP)";
const vendor = "vendors differ in long mode";

const leftOut: Readonly<Record<string, string>> = {
  syscall: kernel,
  sysenter: kernel,
  int: kernel,
  int1: kernel,
  vmcall: hypervisor,
  vmmcall: hypervisor,
  cpuid: machine,
  rdtsc: machine,
  rdtscp: machine,
  rdpid: machine,
  rdpmc: machine,
  rdrand: machine,
  rdseed: machine,
  xgetbv: machine,
  sgdt: umip,
  sidt: umip,
  sldt: umip,
  str: umip,
  smsw: umip,
  monitor: machine,
  mwait: machine,
  sysexit: vendor,
  sysret: vendor,
};

/** The table's feature names that Linux spells in another way. */
const linuxNames: Readonly<Record<string, string>> = {
  sse3: "pni",
  x87: "fpu",
  cmpxchg16b: "cx16",
  "sse4.1": "sse4_1",
};

/** Why the oracle does not try this form, or undefined when it does. */
export function whyNot(row: InstructionRow, features: ReadonlySet<string> = cpuFeatures()): string | undefined {
  if (row.id === 0) return "no instruction";
  if (row.absent) return "absent from this machine";
  const reason = leftOut[row.mnemonic];
  if (reason) return reason;
  const feature = linuxNames[row.feature] ?? row.feature;
  if (feature !== "base" && !features.has(feature)) return `the host CPU has no ${feature}`;
  return undefined;
}

/** Results within a bound, not bit by bit: see compare.ts. In sequences they would spread. */
export const approximate: ReadonlySet<string> = new Set([
  ...["rcpps", "rcpss", "rsqrtps", "rsqrtss"],
  ...["fsin", "fcos", "fsincos", "fptan", "fpatan", "f2xm1", "fyl2x", "fyl2xp1"],
]);

/**
 * These store the x87 instruction and data pointers, which only a fresh state has in common; and what an earlier
 * instruction leaves in XRSTOR's header may name components that processors do not have in common.
 */
export const firstOnly: ReadonlySet<string> = new Set([
  ...["fxsave", "xsave", "fnsave", "fnstenv", "fstenv", "fsave", "xrstor"],
]);
