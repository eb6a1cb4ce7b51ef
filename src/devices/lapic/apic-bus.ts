/**
 * What connects the local APICs: IPIs, messages of the IOAPIC and of MSIs go out here, end-of-interrupts come back.
 *
 * Law: one message reaches each APIC at most once, and a lowest-priority message reaches one: the one with the
 * lowest processor priority, of equals the first.
 */
import type { AccessSize, MmioDevice } from "../bus.ts";
import type { ApicInterconnect, ApicTarget, Lapic } from "./device.ts";
import { deliveryMode } from "./registers.ts";

const broadcast = 0xffff_ffff;

export class ApicBus implements ApicInterconnect, MmioDevice {
  readonly #lapics: ApicTarget[] = [];
  readonly #pages = new Map<number, MmioDevice>();
  readonly #onEoi: (vector: number) => void;
  /** The APIC of the vCPU whose accesses are being served: its page is the one at 0xfee00000. */
  current = 0;

  /** `onEoi`: a level-triggered vector was ended, for the IOAPIC. */
  constructor(onEoi: (vector: number) => void) {
    this.#onEoi = onEoi;
  }

  attach(lapic: Lapic): void {
    this.#lapics.push(lapic);
    this.#pages.set(lapic.apicId, lapic);
  }

  /** One whose registers are not here: messages reach it. */
  attachRemote(lapic: ApicTarget): void {
    this.#lapics.push(lapic);
  }

  /**
   * Sends an interrupt message. `destination` 0xffffffff in physical mode means all. False when nobody took it.
   */
  deliver(destination: number, logical: boolean, mode: number, vector: number, level: boolean): boolean {
    if (mode === deliveryMode.lowestPriority) return this.#deliverLowest(destination, logical, vector, level);
    let taken = false;
    for (const lapic of this.#lapics) {
      if (this.#matches(lapic, destination, logical)) taken = lapic.accept(mode, vector, level) || taken;
    }
    return taken;
  }

  /** A write of `data` to 0xfeeXXXXX by a device (SDM 3A, "Message Signalled Interrupts"). */
  msi(address: number, data: number): boolean {
    const id = (address >>> 12) & 0xff;
    const logical = (address & 4) !== 0;
    const level = (data & 0x8000) !== 0;
    // De-asserting a level changes nothing in a local APIC.
    if (level && (data & 0x4000) === 0) return true;
    return this.deliver(!logical && id === 0xff ? broadcast : id, logical, (data >> 8) & 7, data & 0xff, level);
  }

  sendIpi(from: Lapic, icrLow: number, destination: number): void {
    const mode = (icrLow >> 8) & 7;
    const vector = icrLow & 0xff;
    // INIT level de-assert synchronised arbitration IDs once; it does nothing now.
    if (mode === deliveryMode.init && (icrLow & 0xc000) === 0x8000) return;
    const shorthand = (icrLow >> 18) & 3;
    if (shorthand === 0) {
      this.deliver(destination, (icrLow & 0x800) !== 0, mode, vector, false);
    } else if (shorthand === 1) {
      from.accept(mode, vector, false);
    } else {
      for (const lapic of this.#lapics) if (shorthand === 2 || lapic !== from) lapic.accept(mode, vector, false);
    }
  }

  broadcastEoi(vector: number): void {
    this.#onEoi(vector);
  }

  readMmio(offset: number, size: AccessSize): number {
    return this.#pages.get(this.current)?.readMmio(offset, size) ?? 0xffff_ffff;
  }

  writeMmio(offset: number, size: AccessSize, value: number): void {
    this.#pages.get(this.current)?.writeMmio(offset, size, value);
  }

  #matches(lapic: ApicTarget, destination: number, logical: boolean): boolean {
    if (logical) return destination === broadcast || lapic.matchesLogical(destination);
    return destination === broadcast || lapic.apicId === destination;
  }

  #deliverLowest(destination: number, logical: boolean, vector: number, level: boolean): boolean {
    let best: ApicTarget | undefined;
    for (const lapic of this.#lapics) {
      if (!lapic.enabled || !this.#matches(lapic, destination, logical)) continue;
      if (best === undefined || lapic.ppr < best.ppr) best = lapic;
    }
    return best?.accept(deliveryMode.fixed, vector, level) ?? false;
  }
}
