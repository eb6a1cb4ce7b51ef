/**
 * The local APIC of one vCPU (SDM 3A, "Advanced Programmable Interrupt Controller").
 *
 * Interrupts come from the `ApicBus` (IOAPIC, MSIs, other CPUs), from the timer, and by LINT0 from the 8259 pair.
 * Laws: `pendingVector()` is what the vCPU may take now by priority, -1 for nothing, and changes only with a call
 * into this object; whenever it is not -1 after a change, `onPending` has been called. Whether the vCPU is willing
 * (IF, shadows) is its own affair: it asks again when that changes.
 *
 * The page at 0xfee00000 does not move: a write of IA32_APIC_BASE with another address is refused.
 */
import type { AccessSize, DeviceClock, MmioDevice } from "../bus.ts";
import { lapicPage } from "../memory-map.ts";
import { copyState, restoreState, type Stateful } from "../state.ts";
import { VectorBitmap } from "./bitmap.ts";
import {
  type ApicAddress,
  isLogicalDestination,
  modeDisabled,
  modeX2apic,
  modeXapic,
  x2apicLogicalId,
} from "./destination.ts";
import { type LapicState, newLapicState } from "./persist.ts";
import {
  deliveryMode,
  errorReceiveVector,
  errorRegister,
  errorSendVector,
  lvtIndex,
  lvtMasked,
  lvtWritable,
  msrApicBase,
  msrTscDeadline,
  msrX2ApicFirst,
  msrX2ApicLast,
  reg,
  svrEnable,
  versionValue,
} from "./registers.ts";
import { LapicTimer, type TscSource } from "./timer.ts";

/** What a local APIC tells its vCPU. Called from any other call into a device. */
export interface VcpuSignals {
  /** `pendingVector()` is not -1: set the event flag, end a HLT. */
  onPending(): void;
  onNmi(): void;
  /** INIT: the vCPU resets and waits for a startup IPI. */
  onInit(): void;
  /** SIPI: when waiting for one, the vCPU starts in real mode at `vector << 12`. */
  onStartup(vector: number): void;
}

/** The 8259 pair as LINT0 sees it. */
export interface ExternalInterrupts {
  /** The vector an acknowledge would give. */
  peek(): number;
  acknowledge(): number;
}

/** A local APIC as those see it who send it messages. */
export interface ApicTarget {
  readonly apicId: number;
  /** Not disabled altogether. */
  readonly enabled: boolean;
  /** Processor priority. */
  readonly ppr: number;
  matchesLogical(destination: number): boolean;
  /** False when it takes none. */
  accept(mode: number, vector: number, level: boolean): boolean;
}

/** What a local APIC sends out; see `ApicBus`. */
export interface ApicInterconnect {
  sendIpi(from: Lapic, icrLow: number, destination: number): void;
  broadcastEoi(vector: number): void;
}

export interface LapicOptions {
  readonly apicId: number;
  readonly bootProcessor: boolean;
  readonly clock: DeviceClock;
  readonly tsc: TscSource;
  readonly signals: VcpuSignals;
  readonly external: ExternalInterrupts;
  readonly interconnect: ApicInterconnect;
  /** Told of what other processors address this one by, whenever it may have changed. */
  readonly onAddress?: (address: ApicAddress) => void;
}

export class Lapic implements ApicTarget, MmioDevice, Stateful<LapicState> {
  readonly apicId: number;
  readonly #options: LapicOptions;
  readonly #state: LapicState;
  readonly #irr: VectorBitmap;
  readonly #isr: VectorBitmap;
  readonly #tmr: VectorBitmap;
  readonly #lvt: Uint32Array;
  readonly #timer: LapicTimer;
  #pending = -1;

  constructor(options: LapicOptions) {
    this.#options = options;
    this.apicId = options.apicId;
    this.#state = newLapicState(options.apicId);
    this.#irr = new VectorBitmap(this.#state.irr);
    this.#isr = new VectorBitmap(this.#state.isr);
    this.#tmr = new VectorBitmap(this.#state.tmr);
    this.#lvt = new Uint32Array(this.#state.lvt.buffer);
    this.#timer = new LapicTimer(this.#state, options.clock, options.tsc, () => this.#fireLvt(lvtIndex.timer));
    this.#resetRegisters();
  }

  // What the vCPU asks.

  /** The vector to deliver now; -1: none above the processor's priority. */
  pendingVector(): number {
    return this.#pending;
  }

  /** Takes the pending interrupt into service and gives its vector; the spurious vector when there is none. */
  acknowledge(): number {
    const vector = this.#highestDeliverable();
    if (vector >= 0) {
      this.#irr.clear(vector);
      this.#isr.set(vector);
      this.#update();
      return vector;
    }
    if (!this.#takesExternal()) return this.#state.svr & 0xff;
    const external = this.#options.external.acknowledge();
    this.#update();
    return external;
  }

  /** CR8: the task priority's class. */
  get cr8(): number {
    return this.#state.tpr >> 4;
  }

  set cr8(value: number) {
    this.#state.tpr = (value & 0xf) << 4;
    this.#update();
  }

  /** Undefined: no such MSR here or not readable now, a #GP. */
  readMsr(msr: number): bigint | undefined {
    if (msr === msrApicBase) return this.#apicBase();
    if (msr === msrTscDeadline) return this.#timer.deadline;
    if (msr < msrX2ApicFirst || msr > msrX2ApicLast || this.#state.mode !== modeX2apic) return undefined;
    const register = msr - msrX2ApicFirst;
    if (register === reg.icrLow) return (BigInt(this.#state.icrHigh) << 32n) | BigInt(this.#state.icrLow);
    const hidden =
      register === reg.eoi ||
      register === reg.selfIpi ||
      register === reg.dfr ||
      register === reg.icrHigh ||
      register === reg.apr ||
      register === reg.rrd;
    const value = hidden ? undefined : this.#readRegister(register);
    return value === undefined ? undefined : BigInt(value);
  }

  /** False: #GP, and nothing changed. */
  writeMsr(msr: number, value: bigint): boolean {
    const bits = BigInt.asUintN(64, value);
    if (msr === msrApicBase) return this.#setApicBase(bits);
    if (msr === msrTscDeadline) {
      this.#timer.deadline = bits;
      return true;
    }
    if (msr < msrX2ApicFirst || msr > msrX2ApicLast || this.#state.mode !== modeX2apic) return false;
    return this.#writeX2apic(msr - msrX2ApicFirst, bits);
  }

  /** To be called when the vCPU's TSC was set or offset: a deadline is a value of that counter. */
  tscChanged(): void {
    this.#timer.armDeadline();
  }

  // What the bus asks.

  get enabled(): boolean {
    return this.#state.mode !== modeDisabled;
  }

  get x2apic(): boolean {
    return this.#state.mode === modeX2apic;
  }

  /** Processor priority, TPR and the service in progress together. */
  get ppr(): number {
    const serving = this.#isr.highest();
    const tpr = this.#state.tpr;
    return serving < 0 || tpr >> 4 >= serving >> 4 ? tpr : serving & 0xf0;
  }

  /** Whether a logical destination means this APIC (SDM 3A, "Logical Destination Mode"). */
  matchesLogical(destination: number): boolean {
    return isLogicalDestination(destination, this.apicId, this.#address());
  }

  /** An interrupt message for this APIC. False when it takes none, being disabled. */
  accept(mode: number, vector: number, level: boolean): boolean {
    if (this.#state.mode === modeDisabled) return false;
    if (mode === deliveryMode.fixed || mode === deliveryMode.lowestPriority) return this.#acceptFixed(vector, level);
    if (mode === deliveryMode.nmi) this.#options.signals.onNmi();
    else if (mode === deliveryMode.init) this.#init();
    else if (mode === deliveryMode.startup) this.#options.signals.onStartup(vector);
    // SMI: there is no SMM. ExtINT by message: only the LINT0 wire brings those here.
    return true;
  }

  /** The INTR line of the 8259 pair, which all LINT0 pins see. */
  setLint0(level: boolean): void {
    const rose = level && this.#state.lint0 === 0;
    this.#state.lint0 = level ? 1 : 0;
    const lvt = this.#lvt[lvtIndex.lint0];
    const mode = (lvt >> 8) & 7;
    if (rose && this.#state.mode !== modeDisabled && (lvt & lvtMasked) === 0) {
      if (mode === deliveryMode.fixed) this.#acceptFixed(lvt & 0xff, false);
      else if (mode === deliveryMode.nmi) this.#options.signals.onNmi();
    }
    this.#update();
  }

  // The register page.

  readMmio(offset: number, size: AccessSize): number {
    if (this.#state.mode !== modeXapic) return 0xffff_ffff;
    const byte = offset & 0xf;
    if (byte > 3) return 0;
    const value = this.#readRegister(offset >> 4);
    if (value === undefined) {
      this.#error(errorRegister);
      return 0;
    }
    return size === 4 ? value : value >>> (8 * byte);
  }

  writeMmio(offset: number, size: AccessSize, value: number): void {
    if (this.#state.mode !== modeXapic || size !== 4 || (offset & 0xf) !== 0) return;
    this.#writeXapic(offset >> 4, value);
  }

  save(): LapicState {
    return copyState(this.#state);
  }

  restore(saved: LapicState): void {
    restoreState(this.#state, saved);
    this.#publish();
    this.#timer.rearm();
    this.#update();
  }

  #apicBase(): bigint {
    const flags =
      (this.#options.bootProcessor ? 0x100 : 0) |
      (this.#state.mode === modeDisabled ? 0 : 0x800) |
      (this.#state.mode === modeX2apic ? 0x400 : 0);
    return BigInt(lapicPage.base + flags);
  }

  /** SDM 3A, "x2APIC State Transitions": which modes follow which. */
  #setApicBase(value: bigint): boolean {
    if ((value & ~0xd00n) !== BigInt(lapicPage.base)) return false;
    const bits = Number(value & 0xc00n);
    const mode = bits === 0x800 ? modeXapic : bits === 0xc00 ? modeX2apic : bits === 0 ? modeDisabled : -1;
    const from = this.#state.mode;
    if (mode === -1) return false;
    if (from === modeX2apic && mode === modeXapic) return false;
    if (from === modeDisabled && mode === modeX2apic) return false;
    if (mode === from) return true;
    if (mode === modeDisabled || from === modeDisabled) this.#resetRegisters();
    this.#state.mode = mode;
    this.#publish();
    this.#update();
    return true;
  }

  #address(): ApicAddress {
    const { mode, svr, ldr, dfr } = this.#state;
    return { mode, enabled: (svr & svrEnable) !== 0, ldr, dfr };
  }

  #publish(): void {
    this.#options.onAddress?.(this.#address());
  }

  /** Undefined: reserved. */
  #readRegister(register: number): number | undefined {
    const s = this.#state;
    if (register >= reg.isr && register < reg.tmr) return this.#isr.word(register & 7);
    if (register >= reg.tmr && register < reg.irr) return this.#tmr.word(register & 7);
    if (register >= reg.irr && register < reg.esr) return this.#irr.word(register & 7);
    if (register >= reg.lvtTimer && register <= reg.lvtError) return this.#lvt[register - reg.lvtTimer];
    switch (register) {
      case reg.id:
        return s.mode === modeX2apic ? this.apicId : (this.apicId << 24) >>> 0;
      case reg.version:
        return versionValue;
      case reg.tpr:
        return s.tpr;
      case reg.ppr:
        return this.ppr;
      case reg.apr:
      case reg.rrd:
      case reg.eoi:
        return 0;
      case reg.ldr:
        return s.mode === modeX2apic ? x2apicLogicalId(this.apicId) : s.ldr;
      case reg.dfr:
        return s.dfr;
      case reg.svr:
        return s.svr;
      case reg.esr:
        return s.esr;
      case reg.icrLow:
        return s.icrLow;
      case reg.icrHigh:
        return s.icrHigh;
      case reg.initialCount:
        return s.initialCount;
      case reg.currentCount:
        return this.#timer.currentCount;
      case reg.divide:
        return s.divide;
      default:
        return undefined;
    }
  }

  #writeXapic(register: number, value: number): void {
    const s = this.#state;
    if (register === reg.ldr) s.ldr = (value & 0xff00_0000) >>> 0;
    else if (register === reg.dfr) s.dfr = (value | 0x0fff_ffff) >>> 0;
    else if (register === reg.icrHigh) s.icrHigh = (value & 0xff00_0000) >>> 0;
    else if (register === reg.icrLow) {
      const destination = s.icrHigh >>> 24;
      this.#sendIpi(value, destination === 0xff && (value & 0x800) === 0 ? 0xffff_ffff : destination);
    } else if (!this.#writeRegister(register, value) && !readOnly(register)) this.#error(errorRegister);
    if (register === reg.ldr || register === reg.dfr) this.#publish();
  }

  /** SDM 3A, "x2APIC Register Availability" and the reserved bits of each. */
  #writeX2apic(register: number, bits: bigint): boolean {
    const s = this.#state;
    const low = Number(bits & 0xffff_ffffn);
    if (register === reg.icrLow) {
      if ((low & ~0xc_cfff) !== 0) return false;
      s.icrHigh = Number(bits >> 32n);
      this.#sendIpi(low, s.icrHigh);
      return true;
    }
    if (bits >> 32n !== 0n) return false;
    if (register === reg.selfIpi) {
      if (low > 0xff) return false;
      this.#acceptOwn(low);
      return true;
    }
    if ((register === reg.eoi || register === reg.esr) && low !== 0) return false;
    if (register === reg.tpr && low > 0xff) return false;
    if (register === reg.svr && (low & ~0x1ff) !== 0) return false;
    if (register === reg.divide && (low & ~0xb) !== 0) return false;
    if (register >= reg.lvtTimer && register <= reg.lvtError) {
      // Delivery status (bit 12) and remote IRR (bit 14) are read-only, not reserved.
      if ((low & ~(lvtWritable[register - reg.lvtTimer] | 0x5000)) !== 0) return false;
    }
    return this.#writeRegister(register, low);
  }

  /** The registers that xAPIC and x2APIC share. False: reserved or read-only. */
  #writeRegister(register: number, value: number): boolean {
    const s = this.#state;
    if (register >= reg.lvtTimer && register <= reg.lvtError) {
      this.#writeLvt(register - reg.lvtTimer, value);
      return true;
    }
    switch (register) {
      case reg.tpr:
        s.tpr = value & 0xff;
        this.#update();
        return true;
      case reg.eoi:
        this.#endOfInterrupt();
        return true;
      case reg.svr:
        s.svr = value & 0x1ff;
        this.#publish();
        if ((s.svr & svrEnable) === 0) for (let i = 0; i < 6; i++) this.#writeLvt(i, this.#lvt[i]);
        return true;
      case reg.esr:
        s.esr = s.esrPending;
        s.esrPending = 0;
        return true;
      case reg.initialCount:
        this.#timer.load(value);
        return true;
      case reg.divide:
        this.#timer.setDivide(value);
        return true;
      default:
        return false;
    }
  }

  /** While the APIC is software-disabled every entry stays masked. */
  #writeLvt(index: number, value: number): void {
    const disabled = (this.#state.svr & svrEnable) === 0 ? lvtMasked : 0;
    const kept = ((value & lvtWritable[index]) | disabled) >>> 0;
    if (index === lvtIndex.timer) this.#timer.setLvt(kept);
    else this.#lvt[index] = kept;
    this.#update();
  }

  #sendIpi(icrLow: number, destination: number): void {
    this.#state.icrLow = (icrLow & 0xc_cfff) >>> 0;
    const mode = (icrLow >> 8) & 7;
    if ((mode === deliveryMode.fixed || mode === deliveryMode.lowestPriority) && (icrLow & 0xf0) === 0) {
      this.#error(errorSendVector);
      return;
    }
    this.#options.interconnect.sendIpi(this, this.#state.icrLow, destination);
  }

  #acceptOwn(vector: number): void {
    if (vector < 16) this.#error(errorSendVector);
    else this.#acceptFixed(vector, false);
  }

  #acceptFixed(vector: number, level: boolean): boolean {
    if ((this.#state.svr & svrEnable) === 0) return false;
    if (vector < 16) {
      this.#error(errorReceiveVector);
      return true;
    }
    this.#irr.set(vector);
    if (level) this.#tmr.set(vector);
    else this.#tmr.clear(vector);
    this.#update();
    return true;
  }

  #endOfInterrupt(): void {
    const vector = this.#isr.highest();
    if (vector < 0) return;
    this.#isr.clear(vector);
    if (this.#tmr.has(vector)) this.#options.interconnect.broadcastEoi(vector);
    this.#update();
  }

  #fireLvt(index: number): void {
    const lvt = this.#lvt[index];
    if ((lvt & lvtMasked) !== 0 || this.#state.mode === modeDisabled) return;
    this.#acceptFixed(lvt & 0xff, false);
  }

  /** Notes an error; a bit newly set raises the error entry once, so a bad vector in it cannot recurse. */
  #error(bit: number): void {
    if ((this.#state.esrPending & bit) !== 0) return;
    this.#state.esrPending |= bit;
    this.#fireLvt(lvtIndex.error);
  }

  /** What INIT does to it. */
  reset(): void {
    this.#resetRegisters();
    this.#update();
  }

  #init(): void {
    this.reset();
    this.#options.signals.onInit();
  }

  /** SDM 3A, "Local APIC State After Power-Up or Reset"; the identity and the mode stay. */
  #resetRegisters(): void {
    const s = this.#state;
    s.tpr = 0;
    s.ldr = 0;
    s.dfr = 0xffff_ffff;
    s.svr = 0xff;
    s.esr = 0;
    s.esrPending = 0;
    s.icrLow = 0;
    s.icrHigh = 0;
    s.divide = 0;
    this.#irr.reset();
    this.#isr.reset();
    this.#tmr.reset();
    this.#lvt.fill(lvtMasked);
    // Virtual wire, as firmware leaves it on the processor that boots: INTR of the 8259 pair gets through.
    if (this.#options.bootProcessor) this.#lvt[lvtIndex.lint0] = deliveryMode.extInt << 8;
    this.#timer.disarm();
    this.#publish();
  }

  #highestDeliverable(): number {
    const vector = this.#irr.highest();
    return vector >= 0 && vector >> 4 > this.ppr >> 4 ? vector : -1;
  }

  #takesExternal(): boolean {
    if (this.#state.lint0 === 0) return false;
    if (this.#state.mode === modeDisabled) return this.#options.bootProcessor;
    const lvt = this.#lvt[lvtIndex.lint0];
    return (lvt & lvtMasked) === 0 && ((lvt >> 8) & 7) === deliveryMode.extInt;
  }

  #update(): void {
    let pending = this.#state.mode === modeDisabled ? -1 : this.#highestDeliverable();
    if (pending < 0 && this.#takesExternal()) pending = this.#options.external.peek();
    this.#pending = pending;
    if (pending >= 0) this.#options.signals.onPending();
  }
}

/** Registers whose writes are dropped without an error. */
function readOnly(register: number): boolean {
  return register === reg.id || register === reg.version || (register >= reg.apr && register <= reg.rrd);
}
