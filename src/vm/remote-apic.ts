/** The local APIC of a vCPU that another thread runs: messages for it are posted in the vCPU's record. */
import {
  type ApicAddress,
  type ApicTarget,
  deliveryMode,
  isLogicalDestination,
  modeDisabled,
  modeXapic,
} from "#devices";
import { at, postInit, postInterrupt, postNmi, postStartup, type Vcpu } from "#vcpu";

/** Below it no vector may be sent. */
const firstVector = 16;

export class RemoteApic implements ApicTarget {
  readonly apicId: number;
  /** Its registers are its own thread's: nobody else knows the priority, and the manual lets any processor be the lowest. */
  readonly ppr = 0;
  readonly #vcpu: Vcpu;
  readonly #wake: () => void;

  /** `wake`: its thread is to look at the record, should it sleep. */
  constructor(vcpu: Vcpu, wake: () => void) {
    this.apicId = vcpu.id;
    this.#vcpu = vcpu;
    this.#wake = wake;
  }

  get enabled(): boolean {
    return this.#address().mode !== modeDisabled;
  }

  matchesLogical(destination: number): boolean {
    return isLogicalDestination(destination, this.apicId, this.#address());
  }

  accept(mode: number, vector: number, level: boolean): boolean {
    const address = this.#address();
    if (address.mode === modeDisabled) return false;
    switch (mode) {
      case deliveryMode.fixed:
      case deliveryMode.lowestPriority:
        if (!address.enabled) return false;
        if (vector >= firstVector) postInterrupt(this.#vcpu, vector, level);
        break;
      case deliveryMode.nmi:
        postNmi(this.#vcpu);
        break;
      case deliveryMode.init:
        postInit(this.#vcpu);
        break;
      case deliveryMode.startup:
        postStartup(this.#vcpu, vector);
        break;
    }
    this.#wake();
    return true;
  }

  #address(): ApicAddress {
    const start = (this.#vcpu.vp + at.APIC_STATE) >> 2;
    const word = (n: number): number => Atomics.load(this.#vcpu.arena.i32, start + n) >>> 0;
    return { mode: word(0), enabled: word(1) !== 0, ldr: word(2), dfr: word(3) };
  }
}

/** Before the vCPU's own thread has begun to say it: as after power-on. */
export function publishResetApic(vcpu: Vcpu): void {
  publishApic(vcpu, { mode: modeXapic, enabled: false, ldr: 0, dfr: 0xffff_ffff });
}

/** Says to other threads how the vCPU's local APIC is addressed. */
export function publishApic(vcpu: Vcpu, { mode, enabled, ldr, dfr }: ApicAddress): void {
  const start = (vcpu.vp + at.APIC_STATE) >> 2;
  [mode, enabled ? 1 : 0, ldr, dfr].forEach((value, n) => Atomics.store(vcpu.arena.i32, start + n, value | 0));
}
