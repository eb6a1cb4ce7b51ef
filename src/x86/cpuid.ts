/**
 * What CPUID says of this machine: an AMD processor of family 19h with what the translator has, and nothing it lacks.
 * docs/cpu-identity.md says what the identity claims and why it is this one.
 *
 * (AMD APM 3, appendix E; the leaves at 0x40000000 are KVM's, Documentation/virt/kvm/x86/cpuid.rst.)
 */

export interface CpuidEnvironment {
  /** Processors of the machine: one package, one thread a core, APIC IDs 0 to cpus - 1. */
  readonly cpus: number;
  /** Of the processor that asks. */
  readonly apicId: number;
  readonly tscHz: number;
  /** CR4.OSXSAVE of the processor that asks. */
  readonly osxsave: boolean;
}

export type CpuidResult = readonly [eax: number, ebx: number, ecx: number, edx: number];

const bits = (...numbers: readonly number[]): number => numbers.reduce((all, n) => all | (1 << n), 0);
/** Four characters as a register holds them. */
const letters = (text: string, at: number): number =>
  [0, 1, 2, 3].reduce((all, n) => all | ((text.charCodeAt(at + n) || 0) << (8 * n)), 0);

/** Bits of each feature register, by the manual's names. */
export const cpuidFeatures = {
  "1.ecx": {
    SSE3: 0,
    SSSE3: 9,
    CMPXCHG16B: 13,
    PCID: 17,
    SSE41: 19,
    SSE42: 20,
    X2APIC: 21,
    POPCNT: 23,
    TSC_DEADLINE: 24,
    XSAVE: 26,
    RDRAND: 30,
    HYPERVISOR: 31,
  },
  /** No virtual 8086 mode, and SYSENTER not even outside long mode. Machine checks have no bank to report from. */
  "1.edx": {
    FPU: 0,
    DE: 2,
    PSE: 3,
    TSC: 4,
    MSR: 5,
    PAE: 6,
    MCE: 7,
    CMPXCHG8B: 8,
    APIC: 9,
    MTRR: 12,
    PGE: 13,
    MCA: 14,
    CMOV: 15,
    PAT: 16,
    PSE36: 17,
    CLFSH: 19,
    MMX: 23,
    FXSR: 24,
    SSE: 25,
    SSE2: 26,
  },
  "7.ebx": { FSGSBASE: 0, SMEP: 7, ERMS: 9, INVPCID: 10, RDSEED: 18, SMAP: 20 },
  "7.ecx": { UMIP: 2 },
  "7.edx": { FSRM: 4 },
  "80000001.ecx": { LAHF: 0, PREFETCHW: 8, TOPOEXT: 22 },
  /** Besides those that repeat leaf 1. */
  "80000001.edx": { SYSCALL: 11, NX: 20, MMXEXT: 22, PDPE1GB: 26, RDTSCP: 27, LM: 29 },
  "80000007.edx": { INVARIANT_TSC: 8 },
  "80000008.ebx": { XSAVEERPTR: 2, SSB_NO: 26, BTC_NO: 29 },
  "80000021.eax": {
    FSGSBASE_NON_SERIALIZING: 1,
    LFENCE_SERIALIZING: 2,
    NULL_SEL_CLR_BASE: 6,
    AUTOMATIC_IBRS: 8,
    NO_SMM_CTL_MSR: 9,
    SRSO_NO: 29,
  },
  /** Linux 6.12.117 and later believe a processor untouched by TSA only with bit 7 as well. */
  "80000021.ecx": { TSA_SQ_NO: 1, TSA_L1_NO: 2, TSA_NO_7: 7 },
  /** KVM: the clock by both pairs of MSRs, no port delays, asynchronous page faults by interrupt, and a TSC that all processors share. */
  "40000001.eax": {
    CLOCKSOURCE: 0,
    NOP_IO_DELAY: 1,
    CLOCKSOURCE2: 3,
    ASYNC_PF: 4,
    ASYNC_PF_INT: 14,
    CLOCKSOURCE_STABLE: 24,
  },
} as const;

const maskOf = (name: keyof typeof cpuidFeatures): number => bits(...Object.values<number>(cpuidFeatures[name]));
const masks = Object.fromEntries(
  Object.keys(cpuidFeatures).map((name) => [name, maskOf(name as keyof typeof cpuidFeatures)]),
) as Record<keyof typeof cpuidFeatures, number>;

const vendor = "AuthenticAMD";
const hypervisor = "KVMKVMKVM\0\0\0";
const brand = "memvisor virtual processor";
/** Family 19h, model 01h, stepping 1: of a later model 6.12 expects CPPC, and warns where it is missing. */
const signature = 0x00a00f11;

const maxBasic = 0xd;
const maxHypervisor = 0x40000010;
const maxExtended = 0x80000021;

const OSXSAVE = 1 << 27;
const HTT = 1 << 28;
const CMP_LEGACY = 1 << 1;
/** Bits of leaf 1's EDX that AMD repeats in leaf 80000001. */
const repeated = bits(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16, 17, 23, 24);

const physicalBits = 40;
const linearBits = 48;
const cacheLine = 64;
/** The x87 and SSE state with the header of XSAVE. */
const xsaveBytes = 576;
/** The local APIC's timer counts at this rate. */
const apicBusKhz = 1_000_000;

const none: CpuidResult = [0, 0, 0, 0];

/** Bits of an APIC ID that tell processors of a package apart. */
const coreBits = (cpus: number): number => (cpus > 1 ? 32 - Math.clz32(cpus - 1) : 0);

function topology(subleaf: number, { cpus, apicId }: CpuidEnvironment): CpuidResult {
  if (subleaf === 0) return [0, 1, 1 << 8, apicId];
  if (subleaf === 1) return [coreBits(cpus), cpus, 1 | (2 << 8), apicId];
  return [0, 0, subleaf & 0xff, apicId];
}

/** Leaf 8000001D: type (1 data, 2 code, 3 both), level, ways, sets, processors that share it. */
function cache(type: number, level: number, ways: number, sets: number, sharing: number): CpuidResult {
  return [type | (level << 5) | (1 << 8) | ((sharing - 1) << 14), (cacheLine - 1) | ((ways - 1) << 22), sets - 1, 0];
}

function caches(subleaf: number, cpus: number): CpuidResult {
  switch (subleaf) {
    case 0:
      return cache(1, 1, 8, 64, 1);
    case 1:
      return cache(2, 1, 8, 64, 1);
    case 2:
      return cache(3, 2, 8, 2048, 1);
    case 3:
      return cache(3, 3, 16, 32768, cpus);
    default:
      return none;
  }
}

function basic(leaf: number, subleaf: number, env: CpuidEnvironment): CpuidResult {
  switch (leaf) {
    case 0:
      return [maxBasic, letters(vendor, 0), letters(vendor, 8), letters(vendor, 4)];
    case 1:
      return [
        signature,
        ((cacheLine / 8) << 8) | (Math.min(env.cpus, 255) << 16) | (env.apicId << 24),
        masks["1.ecx"] | (env.osxsave ? OSXSAVE : 0),
        masks["1.edx"] | (env.cpus > 1 ? HTT : 0),
      ];
    case 6:
      // The APIC timer always runs.
      return [1 << 2, 0, 0, 0];
    case 7:
      return subleaf === 0 ? [0, masks["7.ebx"], masks["7.ecx"], masks["7.edx"]] : none;
    case 0xb:
      return topology(subleaf, env);
    case 0xd:
      return subleaf === 0 ? [3, xsaveBytes, xsaveBytes, 0] : none;
    default:
      return none;
  }
}

function hypervisorLeaf(leaf: number, env: CpuidEnvironment): CpuidResult {
  switch (leaf) {
    case 0x40000000:
      return [maxHypervisor, letters(hypervisor, 0), letters(hypervisor, 4), letters(hypervisor, 8)];
    case 0x40000001:
      return [masks["40000001.eax"], 0, 0, 0];
    case 0x40000010:
      return [Math.round(env.tscHz / 1000), apicBusKhz, 0, 0];
    default:
      return none;
  }
}

function extended(leaf: number, subleaf: number, env: CpuidEnvironment): CpuidResult {
  switch (leaf) {
    case 0x80000000:
      return [maxExtended | 0, letters(vendor, 0), letters(vendor, 8), letters(vendor, 4)];
    case 0x80000001:
      return [
        signature,
        0,
        masks["80000001.ecx"] | (env.cpus > 1 ? CMP_LEGACY : 0),
        (masks["1.edx"] & repeated) | masks["80000001.edx"],
      ];
    case 0x80000002:
    case 0x80000003:
    case 0x80000004: {
      const at = (leaf - 0x80000002) * 16;
      return [letters(brand, at), letters(brand, at + 4), letters(brand, at + 8), letters(brand, at + 12)];
    }
    case 0x80000005:
      // TLBs of 64 entries, fully associative; two caches of 32 KiB, 8 ways.
      return [0xff40ff40 | 0, 0xff40ff40 | 0, 0x20080140, 0x20080140];
    case 0x80000006:
      // TLBs; 1 MiB of 8 ways; 32 MiB whose associativity leaf 8000001D tells.
      return [0x48006400, 0x68006400, 0x04006140, 0x01009140];
    case 0x80000007:
      return [0, 0, 0, masks["80000007.edx"]];
    case 0x80000008:
      return [physicalBits | (linearBits << 8), masks["80000008.ebx"], (env.cpus - 1) | (coreBits(env.cpus) << 12), 0];
    case 0x8000001d:
      return caches(subleaf, env.cpus);
    case 0x8000001e:
      return [env.apicId, env.apicId & 0xff, 0, 0];
    case 0x80000021:
      return [masks["80000021.eax"], 0, masks["80000021.ecx"], 0];
    default:
      return none;
  }
}

/** EAX, EBX, ECX, EDX, each as 32 bits of either sign. Leaves that do not exist are zeros, as on AMD's processors. */
export function cpuid(leaf: number, subleaf: number, env: CpuidEnvironment): CpuidResult {
  const n = leaf >>> 0;
  if (n <= maxBasic) return basic(n, subleaf >>> 0, env);
  if (n >= 0x80000000 && n <= maxExtended) return extended(n, subleaf >>> 0, env);
  return hypervisorLeaf(n, env);
}
