/**
 * All that a machine is at a moment between two instructions, but for the bytes of its memory: plain data.
 *
 * It does not say who runs the machine: one made by vCPUs in turn goes on on threads, and the other way round.
 */
import { type PlatformState, StateError } from "#devices";
import type { MemoryObject, PageKernels } from "#memory";
import type { MsrState, VcpuState } from "#vcpu";
import type { MachineConfig } from "./machine-host.ts";
import type { TurnsState } from "./turns.ts";

export interface MachineState {
  readonly memoryBytes: number;
  readonly clock: "wall" | "virtual";
  /** Guest time in nanoseconds. */
  readonly timeNs: number;
  /** One for each vCPU. */
  readonly vcpus: readonly VcpuState[];
  readonly msrs: readonly MsrState[];
  /** Local APICs and clocks of all vCPUs among them. */
  readonly devices: PlatformState;
  /** In virtual time, which goes on exactly as it would have. */
  readonly turns?: TurnsState;
  /** Of the machine's random numbers, where they come from a seed. */
  readonly random?: bigint;
}

/** What a machine goes on from. */
export interface Resume {
  readonly state: MachineState;
  /** Its memory: an object whose pages are the guest's frames, sealed. */
  memory(kernels: PageKernels): MemoryObject;
  /** Of the file that this is in. */
  readonly header: Uint8Array;
}

/** Throws `StateError` where a machine of this configuration cannot be the one that was saved. */
export function checkResume(state: MachineState, config: MachineConfig): void {
  const cpus = config.cpus ?? 1;
  const wrong = (what: string): never => {
    throw new StateError(`the snapshot is of a machine with ${what}`);
  };
  if (state.memoryBytes !== config.memoryBytes) wrong(`${state.memoryBytes / 2 ** 20} MiB of memory`);
  if (state.vcpus.length !== cpus || state.msrs.length !== cpus) wrong(`${state.vcpus.length} vCPUs`);
  if (state.clock !== config.clock) wrong(`a ${state.clock} clock`);
}
