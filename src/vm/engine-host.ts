/**
 * What a machine's vCPUs find around them: its memory, devices, registers and clock, as the engine asks for them.
 */
import type { Gpa } from "#address";
import type { Lapic, Platform } from "#devices";
import type { EngineHost } from "#engine";
import type { AddressSpace } from "#memory";
import type { MsrFile, Vcpu } from "#vcpu";
import { cpuid } from "#x86";
import type { AsyncFaults } from "./async-faults.ts";
import { tscFrequencyHz } from "./machine-clock.ts";

/** What a vCPU has for itself. Some of it is there later than the engine: none is looked at before a vCPU runs. */
export interface VcpuSurroundings {
  readonly cpus: number;
  /** The vCPU whose turn it is, and what is its own. */
  readonly vcpu: Vcpu;
  readonly lapic: Lapic;
  readonly msrs: MsrFile;
  readTsc(): bigint;
  fillRandom(target: Uint8Array): void;
  /** Takes what other threads have sent to the vCPU. */
  takePosted(): void;
  /** Something worth a remark, once. */
  notice(line: string): void;
}

/** The machine's parts. */
export interface Surroundings extends VcpuSurroundings {
  readonly space: AddressSpace;
  readonly platform: Platform;
  readonly asyncFaults: AsyncFaults | undefined;
}

/** For vCPUs on the machine's own thread. */
export function engineHostOf(around: Surroundings): EngineHost {
  return {
    ...vcpuHostOf(around),
    fillFrame: (gfn) => around.space.swap.fault(gfn),
    comesAtOnce: (gfn) => around.space.swap.begin(gfn),
    deferFault: (gfn) => around.asyncFaults?.defer(gfn) ?? 0,
    readMmio: (address, size) => around.platform.mmioBus.read(address as Gpa, size),
    writeMmio: (address, size, value) => around.platform.mmioBus.write(address as Gpa, size, value),
    readPort: (port, size) => around.platform.portBus.read(port, size),
    writePort: (port, size, value) => around.platform.portBus.write(port, size, value),
  };
}

/** All but memory, devices and ports: the same wherever the vCPU runs. */
export function vcpuHostOf(around: VcpuSurroundings) {
  const random = new Uint8Array(8);
  return {
    readMsr: (index) => around.msrs.read(index),
    writeMsr: (index, value) => around.msrs.write(index, value),
    cpuid: (leaf, subleaf) =>
      cpuid(leaf, subleaf, {
        cpus: around.cpus,
        apicId: around.vcpu.id,
        tscHz: tscFrequencyHz,
        osxsave: (around.vcpu.u64("CR4") & (1n << 18n)) !== 0n,
      }),
    readTsc: () => around.readTsc(),
    random64: () => {
      around.fillRandom(random);
      return new DataView(random.buffer).getBigUint64(0, true);
    },
    writeCr8: (value) => {
      around.lapic.cr8 = value;
    },
    tscChanged: () => around.lapic.tscChanged(),
    interruptPending: () => {
      around.takePosted();
      return around.lapic.pendingVector() >= 0;
    },
    initialized: () => around.lapic.reset(),
    acknowledgeInterrupt: () => around.lapic.acknowledge(),
    missingInstruction: (mnemonic, code) => around.notice(`no rule lifts ${mnemonic} (${code}): it raises #UD`),
    notCompiled: (why) => around.notice(`some code is interpreted, for it cannot be compiled: ${why}`),
  } satisfies Partial<EngineHost>;
}
