/** What a page's threads are told, and what a machine's thread says besides `MachineMessage`. */

import type { IoStart, MachineMessage, MachineStart, TickerStart, VcpuStart } from "#control";
import type { EmitterSetup } from "#jit";

/** What every thread of a machine has to know of the page. */
export interface Surroundings {
  /** The page's `performance.timeOrigin`: from there all threads count. */
  readonly originMs: number;
  /** Whether plain loads and stores of this host have x86's memory order. */
  readonly x86Order: boolean;
}

export interface MachineWorkerStart extends Surroundings {
  readonly start: MachineStart;
}

export interface VcpuWorkerStart extends Surroundings {
  readonly start: VcpuStart;
}

/**
 * A worker that a worker makes starts only when its maker next returns to the event loop (HTML, "Run a worker"), which a
 * machine's thread never does: so the page makes them.
 */
export type ThreadRequest =
  | { readonly type: "start ticker"; readonly start: TickerStart }
  | { readonly type: "start vcpu"; readonly start: VcpuStart }
  | { readonly type: "start io"; readonly start: IoStart }
  | { readonly type: "start emitter"; readonly start: EmitterSetup };

export type FromMachineWorker = MachineMessage | ThreadRequest;
