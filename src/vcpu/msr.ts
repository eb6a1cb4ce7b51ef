/**
 * The model-specific registers that are no mere field of the vCPU record: memory types, AMD's configuration registers,
 * and the doors to the local APIC and KVM's clock.
 *
 * FS_BASE, EFER, STAR, PAT, TSC and the like are answered by the runtime (src/runtime/system/registers.ts) and never come here.
 * Law: a kernel that believes CPUID meets no register that faults.
 */
import { MSR } from "#x86";

/** A device that owns MSRs. Undefined or false: not its own, or a #GP. */
export interface MsrDevice {
  readMsr(index: number): bigint | undefined;
  writeMsr(index: number, value: bigint): boolean;
}

export interface MsrOptions {
  readonly lapic: MsrDevice;
  readonly kvmClock: MsrDevice;
  /** Told of the registers of asynchronous page faults, where there are any. */
  readonly asyncFaults?: AsyncFaultRegisters | undefined;
  /** Told of each access to a register that this machine has never heard of. */
  readonly unknown: (index: number, write: boolean) => void;
}

/** Who acts on MSR_KVM_ASYNC_PF_EN, _INT and _ACK. */
export interface AsyncFaultRegisters {
  /** EN or INT was written. */
  configure(control: bigint, vector: bigint): void;
  /** They are what was saved. */
  resume(control: bigint, vector: bigint): void;
  /** ACK was written. */
  tell(): void;
}

/** Values by index, of the registers that hold one. */
export type MsrState = { readonly values: readonly (readonly [index: number, value: bigint])[] };

interface StoredMsr {
  readonly reset: bigint;
  /** Bits that can be written; a write that would change another one faults, unless `lenient`, where it is ignored. */
  readonly writable: bigint;
  readonly valid?: (value: bigint) => boolean;
  readonly lenient?: boolean;
}

const all = (1n << 64n) - 1n;
const low32 = 0xffff_ffffn;
const physical = (1n << 40n) - 1n;

const memoryTypes: ReadonlySet<bigint> = new Set([0n, 1n, 4n, 5n, 6n]);
const isMemoryType = (value: bigint): boolean => memoryTypes.has(value & 0xffn);
const areMemoryTypes = (value: bigint): boolean =>
  [0, 8, 16, 24, 32, 40, 48, 56].every((shift) => isMemoryType(value >> BigInt(shift)));

const allWriteBack = 0x0606_0606_0606_0606n;
const fixed = (reset: bigint): StoredMsr => ({ reset, writable: all, valid: areMemoryTypes });
const constant = (reset: bigint): StoredMsr => ({ reset, writable: 0n });
const ignoresWrites = (reset: bigint): StoredMsr => ({ reset, writable: 0n, lenient: true });
const holds = (reset: bigint, writable = all): StoredMsr => ({ reset, writable });

const variableRanges = 8;

function describe(): ReadonlyMap<number, StoredMsr> {
  const map = new Map<number, StoredMsr>([
    // All memory is write-back unless the guest says otherwise; the legacy video hole is not cached.
    [MSR.MTRRCAP, constant(BigInt(variableRanges) | (1n << 8n) | (1n << 10n))],
    [MSR.MTRR_DEF_TYPE, { reset: 0xc06n, writable: 0xcffn, valid: isMemoryType }],
    [MSR.MTRR_FIX64K_00000, fixed(allWriteBack)],
    [MSR.MTRR_FIX16K_80000, fixed(allWriteBack)],
    [MSR.MTRR_FIX16K_A0000, fixed(0n)],
    // Machine checks without a bank: kernels complain where the feature itself is missing.
    [MSR.MCG_CAP, constant(0n)],
    [MSR.MCG_STATUS, holds(0n, 7n)],
    [MSR.MISC_ENABLE, holds(1n)],
    [MSR.DEBUGCTL, holds(0n, 0x3fn)],
    [MSR.LAST_BRANCH_FROM, constant(0n)],
    [MSR.LAST_BRANCH_TO, constant(0n)],
    [MSR.LAST_INTERRUPT_FROM, constant(0n)],
    [MSR.LAST_INTERRUPT_TO, constant(0n)],
    [MSR.PATCH_LEVEL, ignoresWrites(0x0a00_11den)],
    [MSR.SYSCFG, holds(0n, 0x7c_0000n)],
    // The TSC counts at the frequency of P-state 0.
    [MSR.HWCR, holds(1n << 24n, low32)],
    [MSR.TOP_MEM, holds(0n, physical)],
    [MSR.TOP_MEM2, holds(0n, physical)],
    [MSR.NB_CFG, holds(0n)],
    [MSR.INT_PENDING, holds(0n, low32)],
    // SVM is off, and locked so.
    [MSR.VM_CR, ignoresWrites(0x18n)],
    [MSR.LS_CFG, holds(0n)],
    [MSR.IC_CFG, holds(0n)],
    [MSR.DC_CFG, holds(0n)],
    // Asynchronous page faults: four control bits below an address of 64 bytes.
    [MSR.KVM_ASYNC_PF_EN, holds(0n, physical & ~0x30n)],
    [MSR.KVM_ASYNC_PF_INT, holds(0n, 0xffn)],
    [MSR.KVM_ASYNC_PF_ACK, ignoresWrites(0n)],
    // LFENCE waits for what comes before it.
    [MSR.DE_CFG, holds(2n)],
  ]);
  for (let n = MSR.MTRR_FIX4K_C0000; n <= MSR.MTRR_FIX4K_F8000; n++) map.set(n, fixed(allWriteBack));
  for (let n = 0; n < variableRanges; n++) {
    map.set(MSR.MTRR_PHYSBASE0 + 2 * n, { reset: 0n, writable: physical & ~0xf00n, valid: isMemoryType });
    map.set(MSR.MTRR_PHYSBASE0 + 2 * n + 1, holds(0n, physical & ~0x7ffn));
  }
  return map;
}

const stored = describe();

/** Registers that kernels try on processors like this one, with the fault in mind: their absence is no news. */
const knownAbsent: readonly (readonly [first: number, last: number])[] = [
  [MSR.PLATFORM_ID, MSR.PLATFORM_ID],
  [MSR.FEATURE_CONTROL, MSR.FEATURE_CONTROL],
  [MSR.SPEC_CTRL, MSR.PRED_CMD],
  [MSR.PLATFORM_INFO, MSR.PLATFORM_INFO],
  [MSR.MPERF, MSR.APERF],
  [MSR.ARCH_CAPABILITIES, MSR.FLUSH_CMD],
  [MSR.TSX_CTRL, MSR.TSX_CTRL],
  [MSR.MISC_FEATURES_ENABLES, MSR.MISC_FEATURES_ENABLES],
  [MSR.MCG_CTL, MSR.MCG_CTL],
  [MSR.MC0_CTL, MSR.MC31_MISC],
  [MSR.XSS, MSR.XSS],
  [MSR.K7_EVNTSEL0, MSR.K7_PERFCTR3],
  [MSR.F15H_PERF_CTL, MSR.F15H_PERF_CTR5],
  [MSR.PATCH_LOADER, MSR.PATCH_LOADER],
  [MSR.PSTATE_LIMIT, MSR.PSTATE_0 + 7],
  [MSR.VM_HSAVE_PA, MSR.VM_HSAVE_PA],
  [MSR.VIRT_SPEC_CTRL, MSR.VIRT_SPEC_CTRL],
  [MSR.OSVW_ID_LENGTH, MSR.OSVW_STATUS],
  // Energy counters.
  [0xc001_0299, 0xc001_029b],
  [MSR.CPUID_7_FEATURES, MSR.CPUID_EXT_FEATURES],
  [MSR.TSC_RATIO, MSR.TSC_RATIO],
];

export class MsrFile {
  readonly #options: MsrOptions;
  readonly #values = new Map<number, bigint>();

  constructor(options: MsrOptions) {
    this.#options = options;
    this.reset();
  }

  reset(): void {
    for (const [index, { reset }] of stored) this.#values.set(index, reset);
  }

  /** Undefined: #GP. */
  read(index: number): bigint | undefined {
    const value = this.#values.get(index);
    if (value !== undefined) return value;
    const device = this.#deviceOf(index);
    if (device !== undefined) return device.readMsr(index);
    this.#notFound(index, false);
    return undefined;
  }

  /** False: #GP, and nothing changed. */
  write(index: number, value: bigint): boolean {
    const row = stored.get(index);
    if (row === undefined) {
      const device = this.#deviceOf(index);
      if (device !== undefined) return device.writeMsr(index, value);
      this.#notFound(index, true);
      return false;
    }
    if (index === MSR.KVM_ASYNC_PF_ACK) this.#options.asyncFaults?.tell();
    if (row.lenient === true) return true;
    const old = this.#values.get(index) ?? row.reset;
    if (((old ^ value) & ~row.writable) !== 0n || row.valid?.(value) === false) return false;
    this.#values.set(index, value);
    if (index === MSR.KVM_ASYNC_PF_EN || index === MSR.KVM_ASYNC_PF_INT)
      this.#options.asyncFaults?.configure(...this.#asyncFaultControl());
    return true;
  }

  save(): MsrState {
    return { values: [...this.#values] };
  }

  /** Values of registers that this version does not know are left out. */
  restore(state: MsrState): void {
    this.reset();
    for (const [index, value] of state.values) if (stored.has(index)) this.#values.set(index, value);
    this.#options.asyncFaults?.resume(...this.#asyncFaultControl());
  }

  #asyncFaultControl(): [control: bigint, vector: bigint] {
    return [this.#values.get(MSR.KVM_ASYNC_PF_EN) ?? 0n, this.#values.get(MSR.KVM_ASYNC_PF_INT) ?? 0n];
  }

  #deviceOf(index: number): MsrDevice | undefined {
    if (index === MSR.APIC_BASE || index === MSR.TSC_DEADLINE) return this.#options.lapic;
    if (index >= MSR.X2APIC_FIRST && index <= MSR.X2APIC_LAST) return this.#options.lapic;
    if (index === MSR.KVM_WALL_CLOCK || index === MSR.KVM_SYSTEM_TIME) return this.#options.kvmClock;
    if (index === MSR.KVM_WALL_CLOCK_NEW || index === MSR.KVM_SYSTEM_TIME_NEW) return this.#options.kvmClock;
    return undefined;
  }

  #notFound(index: number, write: boolean): void {
    if (!knownAbsent.some(([first, last]) => index >= first && index <= last)) this.#options.unknown(index, write);
  }
}
