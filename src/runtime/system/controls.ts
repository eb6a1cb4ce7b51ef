/** Control and debug registers, XCR0, and the TLB instructions. */
import { writeCr8 } from "../host";
import * as L from "../layout";
import { forgetContext, forgetContexts, raise, tlb_flush, tlb_flush_all, tlb_flush_page, tlb_switch } from "../memory";
import { armBreakpoints } from "./breakpoints";
import {
  canonical, code64, cpl, cr4, CR0_PE, CR0_PG, CR4_OSXSAVE, CR4_PCIDE, EFER_LMA, gp, gprAt, longMode, ud, update_mode,
} from "./state";

const CR0_ET: u64 = 0x10;
const CR0_WP: u64 = 0x10000;
const CR0_NW: u64 = 0x20000000;
const CR0_CD: u64 = 0x40000000;
/** Every bit of CR0 that exists; the others read as zero. */
const CR0_BITS: u64 = 0xe005003f;
const CR4_PAE: u64 = 0x20;
/** Bits of CR4 that this machine has: TSD DE PSE PAE MCE PGE PCE OSFXSR OSXMMEXCPT UMIP FSGSBASE PCIDE OSXSAVE SMEP SMAP. */
const CR4_BITS: u64 = 0x370ffc;
/** Bits of CR4 that change what cached translations mean: PSE PAE PGE PCIDE SMEP SMAP. */
const CR4_PAGING: u64 = 0x3200b0;
const EFER_LME: u64 = 0x100;
/** Bits of CR3 above 39, and below 63: no physical address is so long. */
const CR3_RESERVED: u64 = 0x7fffff0000000000;
const CR3_KEEP: u64 = 0x8000000000000000;

function setCr0(vp: u32, value: u64): u32 {
  const old = load<u64>(vp, L.CR0);
  if (value >> 32 != 0) return gp(vp, 0);
  const cr0 = (value & CR0_BITS) | CR0_ET;
  if ((cr0 & CR0_PG) != 0 && (cr0 & CR0_PE) == 0) return gp(vp, 0);
  if ((cr0 & CR0_NW) != 0 && (cr0 & CR0_CD) == 0) return gp(vp, 0);
  const changed = old ^ cr0;
  let efer = load<u64>(vp, L.EFER);
  if ((changed & CR0_PG) != 0) {
    if ((cr0 & CR0_PG) != 0) {
      if ((efer & EFER_LME) != 0) {
        if (!cr4(vp, CR4_PAE) || (load<u32>(vp + L.SEG_FLAGS + 4) & 0x2000) != 0) return gp(vp, 0);
        efer |= EFER_LMA;
      }
    } else {
      if (code64(vp) || cr4(vp, CR4_PCIDE)) return gp(vp, 0);
      efer &= ~EFER_LMA;
    }
    store<u64>(vp, efer, L.EFER);
  }
  store<u64>(vp, cr0, L.CR0);
  if ((changed & (CR0_PG | CR0_WP | CR0_PE)) != 0) tlb_flush_all(vp);
  update_mode(vp);
  return 0;
}

function setCr3(vp: u32, value: u64): u32 {
  const tagged = cr4(vp, CR4_PCIDE);
  if ((value & CR3_RESERVED) != 0 || (value >> 63 != 0 && !tagged)) return gp(vp, 0);
  const cr3 = value & ~CR3_KEEP;
  const keep = value >> 63 != 0;
  const old = load<u64>(vp, L.CR3);
  if (keep && cr3 == old) return 0;
  store<u64>(vp, cr3, L.CR3);
  if (tagged) tlb_switch(vp, <u32>old & 0xfff, <u32>cr3 & 0xfff, keep);
  else tlb_flush(vp);
  return 0;
}

function setCr4(vp: u32, value: u64): u32 {
  const old = load<u64>(vp, L.CR4);
  if ((value & ~CR4_BITS) != 0) return gp(vp, 0);
  if ((value & CR4_PAE) == 0 && longMode(vp)) return gp(vp, 0);
  const changed = old ^ value;
  if ((changed & value & CR4_PCIDE) != 0 && (!longMode(vp) || (load<u64>(vp, L.CR3) & 0xfff) != 0)) return gp(vp, 0);
  store<u64>(vp, value, L.CR4);
  if ((changed & CR4_PAGING) != 0) tlb_flush_all(vp);
  update_mode(vp);
  return 0;
}

/** a = field with the value, imm = register. */
export function sys_write_cr(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (cpl(vp) != 0) return gp(vp, 0);
  const value = load<u64>(vp + a);
  switch (imm) {
    case 0:
      return setCr0(vp, value);
    case 2:
      store<u64>(vp, value, L.CR2);
      return 0;
    case 3:
      return setCr3(vp, value);
    case 4:
      return setCr4(vp, value);
    default:
      if (value > 15) return gp(vp, 0);
      store<u64>(vp, value, L.CR8);
      writeCr8(<u32>value);
      return 0;
  }
}

export function sys_clts(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (cpl(vp) != 0) return gp(vp, 0);
  store<u64>(vp, load<u64>(vp, L.CR0) & ~8, L.CR0);
  update_mode(vp);
  return 0;
}

/** a = field with the machine status word. It can set PE, not clear it. */
export function sys_lmsw(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (cpl(vp) != 0) return gp(vp, 0);
  return setCr0(vp, (load<u64>(vp, L.CR0) & ~0xe) | (load<u64>(vp + a) & 0xf));
}

// Debug registers.

/** The register that DR4 and DR5 stand for, or 8 for none: 0 to 7. Raises #DB where DR7.GD guards them. */
function debugRegister(vp: u32, n: u32): u32 {
  if (n > 7 || ((n == 4 || n == 5) && cr4(vp, 8))) {
    ud(vp);
    return 8;
  }
  if (cpl(vp) != 0) {
    gp(vp, 0);
    return 8;
  }
  if ((load<u64>(vp + L.DR + 56) & 0x2000) != 0) {
    store<u64>(vp + L.DR + 48, load<u64>(vp + L.DR + 48) | 0x2000);
    raise(vp, 1, 0);
    return 8;
  }
  return n == 4 || n == 5 ? n + 2 : n;
}

/** a = destination, imm = register. */
export function sys_read_dr(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const n = debugRegister(vp, imm);
  if (n == 8) return 1;
  store<u64>(vp + a, load<u64>(vp + L.DR + (n << 3)));
  return 0;
}

/** a = field with the value, imm = register. */
export function sys_write_dr(vp: u32, a: u32, b: u32, imm: u32): u32 {
  const n = debugRegister(vp, imm);
  if (n == 8) return 1;
  let value = load<u64>(vp + a);
  if (n >= 6) {
    if (value >> 32 != 0) return gp(vp, 0);
    value = n == 6 ? (value & 0xe00f) | 0xffff0ff0 : (value & 0xffff23ff) | 0x400;
  }
  store<u64>(vp + L.DR + (n << 3), value);
  armBreakpoints(vp);
  return 0;
}

// XCR0.

export function sys_xgetbv(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (!cr4(vp, CR4_OSXSAVE)) return ud(vp);
  if (<u32>load<u64>(gprAt(vp, 1)) != 0) return gp(vp, 0);
  const value = load<u64>(vp, L.XCR0);
  store<u64>(gprAt(vp, 0), value & 0xffffffff);
  store<u64>(gprAt(vp, 2), value >> 32);
  return 0;
}

export function sys_xsetbv(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (!cr4(vp, CR4_OSXSAVE)) return ud(vp);
  if (cpl(vp) != 0 || <u32>load<u64>(gprAt(vp, 1)) != 0) return gp(vp, 0);
  const value = (load<u64>(gprAt(vp, 2)) << 32) | (load<u64>(gprAt(vp, 0)) & 0xffffffff);
  if (value != 1 && value != 3) return gp(vp, 0);
  store<u64>(vp, value, L.XCR0);
  return 0;
}

// Translations.

/** a = field with the linear address. */
export function sys_invlpg(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (cpl(vp) != 0) return gp(vp, 0);
  const va = load<u64>(vp + a);
  if (canonical(va)) tlb_flush_page(vp, va);
  return 0;
}

/** a = field with the type, b = a temporary with the PCID, the next one with the address; imm = operand size. */
export function sys_invpcid(vp: u32, a: u32, b: u32, imm: u32): u32 {
  if (cpl(vp) != 0) return gp(vp, 0);
  const type = imm == 8 ? load<u64>(vp + a) : <u64>load<u32>(vp + a);
  const pcid = load<u64>(vp + b);
  const va = load<u64>(vp + b + 8);
  if (type > 3) return gp(vp, 0);
  const tagged = cr4(vp, CR4_PCIDE);
  if (type < 2 && (pcid > 0xfff || (pcid != 0 && !tagged))) return gp(vp, 0);
  if (type == 0 && !canonical(va)) return gp(vp, 0);
  const current = !tagged || (load<u64>(vp, L.CR3) & 0xfff) == pcid;
  if (type == 2) tlb_flush_all(vp);
  else if (type == 3) {
    forgetContexts(vp);
    tlb_flush(vp);
  } else if (!current) forgetContext(vp, <u32>pcid);
  else if (type == 0) tlb_flush_page(vp, va);
  else tlb_flush(vp);
  return 0;
}
