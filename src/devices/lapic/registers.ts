/** Offsets and fields of the local APIC's registers (SDM 3A, "Local APIC Register Address Map"). */

/** Register numbers: the xAPIC offset divided by 16, which is also the x2APIC MSR minus 0x800. */
export const reg = {
  id: 0x02,
  version: 0x03,
  tpr: 0x08,
  apr: 0x09,
  ppr: 0x0a,
  eoi: 0x0b,
  rrd: 0x0c,
  ldr: 0x0d,
  dfr: 0x0e,
  svr: 0x0f,
  isr: 0x10,
  tmr: 0x18,
  irr: 0x20,
  esr: 0x28,
  icrLow: 0x30,
  icrHigh: 0x31,
  lvtTimer: 0x32,
  lvtError: 0x37,
  initialCount: 0x38,
  currentCount: 0x39,
  divide: 0x3e,
  selfIpi: 0x3f,
} as const;

/** Indexes into the local vector table. */
export const lvtIndex = { timer: 0, thermal: 1, performance: 2, lint0: 3, lint1: 4, error: 5 } as const;
/** The bits of each LVT register that can be written. */
export const lvtWritable = [0x7_00ff, 0x1_07ff, 0x1_07ff, 0x1_a7ff, 0x1_a7ff, 0x1_00ff] as const;
export const lvtMasked = 0x1_0000;

/** Version 0x14, six LVT entries, no suppression of EOI broadcasts. */
export const versionValue = 0x5_0014;

export const svrEnable = 0x100;

/** ESR. */
export const errorSendVector = 0x20;
export const errorReceiveVector = 0x40;
export const errorRegister = 0x80;

export const deliveryMode = {
  fixed: 0,
  lowestPriority: 1,
  smi: 2,
  nmi: 4,
  init: 5,
  startup: 6,
  extInt: 7,
} as const;

export const timerMode = { oneShot: 0, periodic: 1, tscDeadline: 2 } as const;

export const msrApicBase = 0x1b;
export const msrTscDeadline = 0x6e0;
export const msrX2ApicFirst = 0x800;
export const msrX2ApicLast = 0x83f;
