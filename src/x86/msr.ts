/** Numbers of the model-specific registers a guest may ask for (SDM 4; AMD APM 2, appendix A; Linux's KVM documents). */

export const MSR = {
  // Time and interrupts.
  TSC: 0x10,
  APIC_BASE: 0x1b,
  TSC_ADJUST: 0x3b,
  TSC_DEADLINE: 0x6e0,
  TSC_AUX: 0xc000_0103,
  TSC_RATIO: 0xc000_0104,
  MPERF: 0xe7,
  APERF: 0xe8,
  /** x2APIC registers are 0x800 plus the xAPIC offset shifted right by four. */
  X2APIC_FIRST: 0x800,
  X2APIC_LAST: 0x8ff,

  // System calls and bases.
  SYSENTER_CS: 0x174,
  SYSENTER_ESP: 0x175,
  SYSENTER_EIP: 0x176,
  EFER: 0xc000_0080,
  STAR: 0xc000_0081,
  LSTAR: 0xc000_0082,
  CSTAR: 0xc000_0083,
  SFMASK: 0xc000_0084,
  FS_BASE: 0xc000_0100,
  GS_BASE: 0xc000_0101,
  KERNEL_GS_BASE: 0xc000_0102,

  // Memory types.
  MTRRCAP: 0xfe,
  MTRR_PHYSBASE0: 0x200,
  /** Sixteen of them: base and mask by turns. */
  MTRR_PHYSMASK7: 0x20f,
  MTRR_FIX64K_00000: 0x250,
  MTRR_FIX16K_80000: 0x258,
  MTRR_FIX16K_A0000: 0x259,
  MTRR_FIX4K_C0000: 0x268,
  MTRR_FIX4K_F8000: 0x26f,
  PAT: 0x277,
  MTRR_DEF_TYPE: 0x2ff,

  // Identity, features, faults.
  PLATFORM_ID: 0x17,
  FEATURE_CONTROL: 0x3a,
  SPEC_CTRL: 0x48,
  PRED_CMD: 0x49,
  /** Named BIOS_SIGN_ID by Intel. */
  PATCH_LEVEL: 0x8b,
  PLATFORM_INFO: 0xce,
  ARCH_CAPABILITIES: 0x10a,
  FLUSH_CMD: 0x10b,
  TSX_CTRL: 0x122,
  MISC_FEATURES_ENABLES: 0x140,
  MCG_CAP: 0x179,
  MCG_STATUS: 0x17a,
  MCG_CTL: 0x17b,
  MISC_ENABLE: 0x1a0,
  DEBUGCTL: 0x1d9,
  LAST_BRANCH_FROM: 0x1db,
  LAST_BRANCH_TO: 0x1dc,
  LAST_INTERRUPT_FROM: 0x1dd,
  LAST_INTERRUPT_TO: 0x1de,
  MC0_CTL: 0x400,
  /** Four registers a bank: CTL, STATUS, ADDR, MISC. */
  MC31_MISC: 0x47f,
  PERF_CAPABILITIES: 0x345,
  XSS: 0xda0,

  // AMD.
  SYSCFG: 0xc001_0010,
  HWCR: 0xc001_0015,
  TOP_MEM: 0xc001_001a,
  TOP_MEM2: 0xc001_001d,
  NB_CFG: 0xc001_001f,
  PATCH_LOADER: 0xc001_0020,
  /** Interrupt pending and C1E control. */
  INT_PENDING: 0xc001_0055,
  PSTATE_LIMIT: 0xc001_0061,
  PSTATE_CONTROL: 0xc001_0062,
  PSTATE_STATUS: 0xc001_0063,
  PSTATE_0: 0xc001_0064,
  VM_CR: 0xc001_0114,
  VM_HSAVE_PA: 0xc001_0117,
  VIRT_SPEC_CTRL: 0xc001_011f,
  OSVW_ID_LENGTH: 0xc001_0140,
  OSVW_STATUS: 0xc001_0141,
  CPUID_7_FEATURES: 0xc001_1002,
  CPUID_FEATURES: 0xc001_1004,
  CPUID_EXT_FEATURES: 0xc001_1005,
  LS_CFG: 0xc001_1020,
  IC_CFG: 0xc001_1021,
  DC_CFG: 0xc001_1022,
  DE_CFG: 0xc001_1029,
  K7_EVNTSEL0: 0xc001_0000,
  K7_PERFCTR3: 0xc001_0007,
  F15H_PERF_CTL: 0xc001_0200,
  F15H_PERF_CTR5: 0xc001_020b,

  // KVM's own.
  KVM_WALL_CLOCK: 0x11,
  KVM_SYSTEM_TIME: 0x12,
  KVM_WALL_CLOCK_NEW: 0x4b56_4d00,
  KVM_SYSTEM_TIME_NEW: 0x4b56_4d01,
  KVM_ASYNC_PF_EN: 0x4b56_4d02,
  KVM_STEAL_TIME: 0x4b56_4d03,
  KVM_EOI_EN: 0x4b56_4d04,
  KVM_POLL_CONTROL: 0x4b56_4d05,
  KVM_ASYNC_PF_INT: 0x4b56_4d06,
  KVM_ASYNC_PF_ACK: 0x4b56_4d07,
  KVM_MIGRATION_CONTROL: 0x4b56_4d08,
} as const;

export type MsrName = keyof typeof MSR;

const names = new Map<number, string>(Object.entries(MSR).map(([name, number]) => [number, name]));

/** For messages: `EFER (0xc0000080)`, or the number alone. */
export function printMsr(number: number): string {
  const hex = `0x${(number >>> 0).toString(16)}`;
  const name = names.get(number >>> 0);
  return name === undefined ? hex : `${name} (${hex})`;
}
