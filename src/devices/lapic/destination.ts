/** Who is meant by a logical destination (SDM 3A, "Logical Destination Mode"). */

/** What other processors have to know of a local APIC to address it. */
export interface ApicAddress {
  readonly mode: number;
  /** SVR's enable bit: interrupts are taken. */
  readonly enabled: boolean;
  readonly ldr: number;
  readonly dfr: number;
}

export const modeDisabled = 0;
export const modeXapic = 1;
export const modeX2apic = 2;

/** The logical ID that an x2APIC derives from its own. */
export function x2apicLogicalId(apicId: number): number {
  return (((apicId >>> 4) << 16) | (1 << (apicId & 0xf))) >>> 0;
}

export function isLogicalDestination(destination: number, apicId: number, address: ApicAddress): boolean {
  if (address.mode === modeX2apic) {
    const own = x2apicLogicalId(apicId);
    return destination >>> 16 === own >>> 16 && (destination & own & 0xffff) !== 0;
  }
  const own = address.ldr >>> 24;
  const to = destination & 0xff;
  if (to === 0xff) return true;
  if (address.dfr >>> 28 === 0xf) return (own & to) !== 0;
  return own >> 4 === to >> 4 && (own & to & 0xf) !== 0;
}
