/**
 * Where everything lies in the guest-physical and port address spaces: the one home of these numbers.
 *
 *     0000_0000  RAM, up to 3 GiB (the BIOS area from 000e_0000 holds the ACPI tables)
 *     c000_0000  PCI memory window
 *     e000_0000  PCI configuration space (ECAM), 256 buses of 1 MiB
 *     f000_0000  PCI memory window, second part
 *     fec0_0000  IOAPIC
 *     fee0_0000  local APICs (each vCPU sees its own), and where MSIs are written
 *  1_0000_0000  the rest of RAM, and what can be plugged in later (virtio-mem)
 *  2_0000_0000  persistent memory (virtio-pmem)
 * 40_0000_0000  64-bit PCI memory window
 */

export interface MemoryRange {
  readonly base: number;
  readonly size: number;
}

const gib = 0x4000_0000;

/** RAM at 0 ends here at the latest; what does not fit continues at 4 GiB. */
export const lowRamLimit = 3 * gib;
export const highRamBase = 4 * gib;

/** The ACPI tables lie in the BIOS area, where the RSDP is also found by its signature. */
export const acpiArea: MemoryRange = { base: 0xe_0000, size: 0x2_0000 };
/** Its last page: 16 bytes that say which copy of a machine this is (vmgenid/). Machines that were saved keep it where it is. */
export const generationIdAddress = 0xf_f000;
/** Below 1 MiB: no RAM for the kernel between the end of conventional memory and 1 MiB. */
export const conventionalRamEnd = 0x9_fc00;

export const pciWindow: MemoryRange = { base: 0xc000_0000, size: 0x2000_0000 };
export const ecam: MemoryRange = { base: 0xe000_0000, size: 0x1000_0000 };
export const pciWindow2: MemoryRange = { base: 0xf000_0000, size: 0x0ec0_0000 };
/** Persistent memory: it ends where guest frame numbers do, at 64 GiB. */
export const pmemWindow: MemoryRange = { base: 8 * gib, size: 56 * gib };
/** Linux maps persistent memory by subsections of this size. */
export const pmemAlignment = 2 << 20;
/** What Linux adds to its memory at a time. */
export const pluggableAlignment = 128 << 20;
/** Ends at 2^39: the vCPU must announce at least 39 physical address bits. */
export const pciWindow64: MemoryRange = { base: 0x40_0000_0000, size: 0x40_0000_0000 };

export const ioapicPage: MemoryRange = { base: 0xfec0_0000, size: 0x1000 };
export const lapicPage: MemoryRange = { base: 0xfee0_0000, size: 0x1000 };

/** ACPI power management: PM1a event block, PM1a control, PM timer. */
export const pmPorts = { base: 0x600, event: 0x600, control: 0x604, timer: 0x608, size: 0xc } as const;
export const resetPort = 0xcf9;
/** What the reset register takes to reset: RST_CPU and SYS_RST of the chipset's register. */
export const resetValue = 0x06;

/** The interrupt of ACPI events, level-triggered and active high. */
export const sciIrq = 9;
/** PCI's four INTx lines reach the IOAPIC's pins from here on. */
export const pciGsiBase = 16;

/** Edge-triggered: there is a new generation ID. */
export const generationGsi = 20;

/** The UARTs in the order of their names, each with an interrupt of its own. */
export const comPorts = [
  { port: 0x3f8, irq: 4 },
  { port: 0x2f8, irq: 3 },
  { port: 0x3e8, irq: 10 },
  { port: 0x2e8, irq: 11 },
] as const;

export type MemoryKind = "ram" | "reserved" | "acpi";
export interface MemoryMapEntry extends MemoryRange {
  readonly kind: MemoryKind;
}

/** Where `ramBytes` of RAM lie: one range, or two when it passes 3 GiB. */
export function ramRanges(ramBytes: number): MemoryRange[] {
  const low = { base: 0, size: Math.min(ramBytes, lowRamLimit) };
  return ramBytes <= lowRamLimit ? [low] : [low, { base: highRamBase, size: ramBytes - lowRamLimit }];
}

/** Where memory lies that is plugged in while the machine runs, up to `mostBytes` in all. Above all RAM, as Linux adds it: by 128 MiB. */
export function pluggableRange(ramBytes: number, mostBytes: number): MemoryRange {
  const ramEnd = highRamBase + Math.max(0, ramBytes - lowRamLimit);
  return { base: Math.ceil(ramEnd / pluggableAlignment) * pluggableAlignment, size: mostBytes - ramBytes };
}

/** Where regions of persistent memory of these sizes lie, one after the other. Requires: multiples of `pmemAlignment` that fit. */
export function pmemRanges(sizes: readonly number[]): MemoryRange[] {
  let next = pmemWindow.base;
  return sizes.map((size) => {
    const base = next;
    next += size;
    return { base, size };
  });
}

/** What the boot loader tells the guest (e820), ascending. */
export function memoryMap(ramBytes: number): MemoryMapEntry[] {
  const [low, high] = ramRanges(ramBytes);
  const map: MemoryMapEntry[] = [
    { base: 0, size: conventionalRamEnd, kind: "ram" },
    { base: conventionalRamEnd, size: 0xa_0000 - conventionalRamEnd, kind: "reserved" },
    { ...acpiArea, kind: "reserved" },
    { base: 0x10_0000, size: low.size - 0x10_0000, kind: "ram" },
    { ...ecam, kind: "reserved" },
    { ...ioapicPage, kind: "reserved" },
    { ...lapicPage, kind: "reserved" },
  ];
  if (high !== undefined) map.push({ ...high, kind: "ram" });
  return map;
}
