/** A machine's first moment: a kernel, its parameters and the ACPI tables in memory, the first vCPU at the kernel's entry, the others waiting. */
import { gpa } from "#address";
import { buildAcpiTables, ecam } from "#devices";
import type { AddressSpace } from "#memory";
import { enterLongMode, Halted, initialize, powerOnRegisters, type Vcpu } from "#vcpu";
import type { MachineConfig } from "../machine-host.ts";
import { sizeOf } from "./boot-bytes.ts";
import { BootError } from "./boot-error.ts";
import { E820_RESERVED, prepareLinuxBoot } from "./linux-boot.ts";

/** About so many bytes of memory `bootMachine` fills. */
export const bootBytes = ({ kernel, initrd, memoryBytes }: MachineConfig): number =>
  Math.min(memoryBytes, (kernel ? sizeOf(kernel) : 0) + (initrd ? sizeOf(initrd) : 0));

/** Throws BootError when the kernel, initrd or command line cannot be booted in this much memory. */
export function bootMachine(
  config: MachineConfig,
  memory: AddressSpace,
  vcpus: readonly Vcpu[],
  fillRandom: (target: Uint8Array) => void,
): void {
  if (config.kernel === undefined) throw new BootError("there is no kernel to boot");
  const acpi = buildAcpiTables({ cpus: vcpus.length });
  const rngSeed = new Uint8Array(32);
  fillRandom(rngSeed);
  const state = prepareLinuxBoot({
    memory,
    kernel: config.kernel,
    setupHeader: config.setupHeader,
    initrd: config.initrd,
    commandLine: config.commandLine,
    ramBytes: config.memoryBytes,
    acpiRsdp: gpa(acpi.rsdp),
    rngSeed,
    reserved: [{ gpa: gpa(ecam.base), sizeBytes: ecam.size, type: E820_RESERVED }],
  });
  if (!memory.write(gpa(acpi.base), acpi.blob))
    throw new BootError("there is no memory for the ACPI tables: give the guest at least 16 MiB");
  const [first, ...others] = vcpus as readonly [Vcpu, ...Vcpu[]];
  enterLongMode(first, state);
  for (const vcpu of others) {
    powerOnRegisters(vcpu);
    initialize(vcpu);
    vcpu.setU32("HALTED", Halted.waitForStartup);
  }
}
