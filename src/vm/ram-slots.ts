/** Where a machine's RAM lies: what it begins with, and what can be plugged in while it runs. */
import { type Gpa, gpa } from "#address";
import { type PluggableRegion, pluggableRange, ramRanges } from "#devices";
import type { AddressSpace, Memslot } from "#memory";
import type { MachineConfig } from "./machine-host.ts";

type Sizes = Pick<MachineConfig, "memoryBytes" | "memoryMaxBytes">;

export function ramSlots({ memoryBytes, memoryMaxBytes = memoryBytes }: Sizes): readonly Memslot[] {
  const slots = ramRanges(memoryBytes).map(({ base, size }) => ({ gpa: gpa(base), sizeBytes: size }));
  if (memoryMaxBytes === memoryBytes) return slots;
  const { base, size } = pluggableRange(memoryBytes, memoryMaxBytes);
  return [...slots, { gpa: gpa(base), sizeBytes: size, pluggable: true }];
}

/** The part of the address space that is plugged in and out; undefined where there is none. */
export function pluggableRegion(space: AddressSpace): PluggableRegion | undefined {
  const slot = space.memslots.find(({ pluggable }) => pluggable === true);
  if (slot === undefined) return undefined;
  const at = (offset: number): Gpa => gpa(slot.gpa + offset);
  return {
    base: slot.gpa,
    sizeBytes: slot.sizeBytes,
    plug: (offset, bytes) => space.plug(at(offset), bytes),
    unplug: (offset, bytes) => space.unplug(at(offset), bytes),
  };
}
