/** MSRs, time, identity and randomness: what code asks the processor about, in EDX:EAX. */
import { setFlags } from "../flags";
import { cpuid, msrRead, msrWrite, random64, readTsc, tscChanged } from "../host";
import * as L from "../layout";
import { GS_INDEX } from "./descriptors";
import { canonical, cpl, cr4, CR0_PG, CR4_TSD, EFER_LMA, gp, gprAt, remap } from "./state";

/** EFER bits that may be set: SCE LME NXE, and AUTOIBRS, which means nothing to a machine that does not speculate. */
const EFER_BITS: u64 = 0x200901;
const EFER_LME: u64 = 0x100;
const EFER_NXE: u64 = 0x800;

const MSR_TSC: u32 = 0x10;
const MSR_TSC_ADJUST: u32 = 0x3b;
const MSR_SYSENTER_CS: u32 = 0x174;
const MSR_SYSENTER_ESP: u32 = 0x175;
const MSR_SYSENTER_EIP: u32 = 0x176;
const MSR_PAT: u32 = 0x277;
const MSR_EFER: u32 = 0xc0000080;
const MSR_STAR: u32 = 0xc0000081;
const MSR_LSTAR: u32 = 0xc0000082;
const MSR_CSTAR: u32 = 0xc0000083;
const MSR_SFMASK: u32 = 0xc0000084;
const MSR_FS_BASE: u32 = 0xc0000100;
const MSR_GS_BASE: u32 = 0xc0000101;
const MSR_KERNEL_GS_BASE: u32 = 0xc0000102;
const MSR_TSC_AUX: u32 = 0xc0000103;

/** Offset in the record of an MSR that is no more than a field; 0 (which no MSR has) for the others. */
function fieldOf(index: u32): u32 {
  switch (index) {
    case MSR_FS_BASE:
      return L.SEG_BASE + 32;
    case MSR_GS_BASE:
      return L.SEG_BASE + (GS_INDEX << 3);
    case MSR_KERNEL_GS_BASE:
      return L.KERNEL_GS_BASE;
    case MSR_EFER:
      return L.EFER;
    case MSR_STAR:
      return L.STAR;
    case MSR_LSTAR:
      return L.LSTAR;
    case MSR_CSTAR:
      return L.CSTAR;
    case MSR_SFMASK:
      return L.SFMASK;
    case MSR_TSC_AUX:
      return L.TSC_AUX;
    case MSR_SYSENTER_CS:
      return L.SYSENTER_CS;
    case MSR_SYSENTER_ESP:
      return L.SYSENTER_ESP;
    case MSR_SYSENTER_EIP:
      return L.SYSENTER_EIP;
    case MSR_PAT:
      return L.PAT;
    case MSR_TSC_ADJUST:
      return L.TSC_OFFSET;
    default:
      return 0;
  }
}

function give(vp: u32, value: u64): u32 {
  store<u64>(gprAt(vp, 0), value & 0xffffffff);
  store<u64>(gprAt(vp, 2), value >> 32);
  return 0;
}

function tsc(vp: u32): u64 {
  return readTsc() + load<u64>(vp, L.TSC_OFFSET);
}

export function sys_rdmsr(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (cpl(vp) != 0) return gp(vp, 0);
  const index = <u32>load<u64>(gprAt(vp, 1));
  const field = fieldOf(index);
  if (field != 0) return give(vp, load<u64>(vp + field));
  if (index == MSR_TSC) return give(vp, tsc(vp));
  return msrRead(index) != 0 ? give(vp, load<u64>(vp, L.MSR_DATA)) : gp(vp, 0);
}

/** Eight memory types: 0 UC, 1 WC, 4 WT, 5 WP, 6 WB, 7 UC-. */
function validPat(value: u64): bool {
  for (let n = 0; n < 8; n++) {
    const type = <u32>(value >> (n << 3)) & 0xff;
    if (type > 7 || type == 2 || type == 3) return false;
  }
  return true;
}

function writeEfer(vp: u32, value: u64): u32 {
  const old = load<u64>(vp, L.EFER);
  if ((value & ~(EFER_BITS | EFER_LMA)) != 0) return gp(vp, 0);
  if (((old ^ value) & EFER_LME) != 0 && (load<u64>(vp, L.CR0) & CR0_PG) != 0) return gp(vp, 0);
  store<u64>(vp, (value & ~EFER_LMA) | (old & EFER_LMA), L.EFER);
  if (((old ^ value) & EFER_NXE) != 0) remap(vp);
  return 0;
}

export function sys_wrmsr(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (cpl(vp) != 0) return gp(vp, 0);
  const index = <u32>load<u64>(gprAt(vp, 1));
  const low = <u32>load<u64>(gprAt(vp, 0));
  const high = <u32>load<u64>(gprAt(vp, 2));
  const value = (<u64>high << 32) | low;
  switch (index) {
    case MSR_EFER:
      return writeEfer(vp, value);
    case MSR_FS_BASE:
    case MSR_GS_BASE:
    case MSR_KERNEL_GS_BASE:
    case MSR_LSTAR:
    case MSR_CSTAR:
    case MSR_SYSENTER_ESP:
    case MSR_SYSENTER_EIP:
      if (!canonical(value)) return gp(vp, 0);
      break;
    case MSR_SFMASK:
    case MSR_TSC_AUX:
      if (high != 0) return gp(vp, 0);
      break;
    case MSR_PAT:
      if (!validPat(value)) return gp(vp, 0);
      break;
    case MSR_TSC:
    case MSR_TSC_ADJUST:
      // TSC_ADJUST moves with every write of the TSC: both are this vCPU's distance from the machine's counter.
      store<u64>(vp, index == MSR_TSC ? value - readTsc() : value, L.TSC_OFFSET);
      tscChanged();
      return 0;
  }
  const field = fieldOf(index);
  if (field != 0) {
    store<u64>(vp + field, value);
    return 0;
  }
  return msrWrite(index, low, high) != 0 ? 0 : gp(vp, 0);
}

/** imm 1: RDTSCP, which gives TSC_AUX too. */
export function sys_rdtsc(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (cpl(vp) != 0 && cr4(vp, CR4_TSD)) return gp(vp, 0);
  if (imm != 0) store<u64>(gprAt(vp, 1), load<u64>(vp, L.TSC_AUX) & 0xffffffff);
  return give(vp, tsc(vp));
}

export function sys_cpuid(vp: u32, a: u32, b: u32, imm: u32): u32 {
  cpuid(<u32>load<u64>(gprAt(vp, 0)), <u32>load<u64>(gprAt(vp, 1)));
  store<u64>(gprAt(vp, 0), <u64>load<u32>(vp + L.CPUID_RESULT));
  store<u64>(gprAt(vp, 3), <u64>load<u32>(vp + L.CPUID_RESULT + 4));
  store<u64>(gprAt(vp, 1), <u64>load<u32>(vp + L.CPUID_RESULT + 8));
  store<u64>(gprAt(vp, 2), <u64>load<u32>(vp + L.CPUID_RESULT + 12));
  return 0;
}

/** RDRAND and RDSEED never run dry. a = destination, imm = operand size. */
export function sys_random(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const value = random64();
  if (imm == 8) store<u64>(vp + a, value);
  else if (imm == 4) store<u64>(vp + a, value & 0xffffffff);
  else store<u16>(vp + a, <u16>value);
  setFlags(vp, 1);
  return 0;
}

/** A KVM hypercall: none is known. RAX = -KVM_ENOSYS, or -KVM_EPERM to user code. */
export function sys_hypercall(vp: u32, a: u32, b: u32, imm: u32): u32 {
  store<i64>(gprAt(vp, 0), cpl(vp) == 0 ? -1000 : -1);
  return 0;
}
