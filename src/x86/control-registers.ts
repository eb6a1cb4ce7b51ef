/** Bits of CR0, CR3, CR4, EFER, XCR0, DR6 and DR7 (SDM 3A, "Control Registers" and "Debug Registers"). */

export const CR0_PE = 1 << 0;
export const CR0_MP = 1 << 1;
export const CR0_EM = 1 << 2;
export const CR0_TS = 1 << 3;
/** Fixed to one. */
export const CR0_ET = 1 << 4;
export const CR0_NE = 1 << 5;
export const CR0_WP = 1 << 16;
export const CR0_AM = 1 << 18;
export const CR0_NW = 1 << 29;
export const CR0_CD = 1 << 30;
/** The sign bit of an int32: compare with `>>> 0` or test with `< 0`. */
export const CR0_PG = 1 << 31;

export const CR3_PWT = 1 << 3;
export const CR3_PCD = 1 << 4;
/** With CR4.PCIDE, bits 11:0 are the PCID, and bit 63 of a written value keeps its translations. */
export const CR3_PCID = 0xfff;
export const CR3_NOFLUSH = 1n << 63n;

export const CR4_VME = 1 << 0;
export const CR4_PVI = 1 << 1;
export const CR4_TSD = 1 << 2;
export const CR4_DE = 1 << 3;
export const CR4_PSE = 1 << 4;
export const CR4_PAE = 1 << 5;
export const CR4_MCE = 1 << 6;
export const CR4_PGE = 1 << 7;
export const CR4_PCE = 1 << 8;
export const CR4_OSFXSR = 1 << 9;
export const CR4_OSXMMEXCPT = 1 << 10;
export const CR4_UMIP = 1 << 11;
export const CR4_LA57 = 1 << 12;
export const CR4_VMXE = 1 << 13;
export const CR4_SMXE = 1 << 14;
export const CR4_FSGSBASE = 1 << 16;
export const CR4_PCIDE = 1 << 17;
export const CR4_OSXSAVE = 1 << 18;
export const CR4_SMEP = 1 << 20;
export const CR4_SMAP = 1 << 21;
export const CR4_PKE = 1 << 22;
export const CR4_CET = 1 << 23;
export const CR4_PKS = 1 << 24;

export const EFER_SCE = 1 << 0;
export const EFER_LME = 1 << 8;
export const EFER_LMA = 1 << 10;
export const EFER_NXE = 1 << 11;
export const EFER_SVME = 1 << 12;
export const EFER_LMSLE = 1 << 13;
export const EFER_FFXSR = 1 << 14;
export const EFER_TCE = 1 << 15;

export const XCR0_X87 = 1 << 0;
export const XCR0_SSE = 1 << 1;
export const XCR0_AVX = 1 << 2;

export const DR6_B0 = 1 << 0;
export const DR6_BD = 1 << 13;
export const DR6_BS = 1 << 14;
export const DR6_BT = 1 << 15;
/** Bits that always read as one (bit 16, RTM, among them). */
export const DR6_FIXED = 0xffff0ff0 | 0;
/** Bit 10 always reads as one. */
export const DR7_FIXED = 1 << 10;
export const DR7_GD = 1 << 13;
