/**
 * What a machine and its forks have in common: an arena, the engine that runs all their vCPUs, one at a time.
 */
import type { EngineHost, TranslatingEngine } from "#engine";
import { type AddressSpace, type Arena, ArenaKernels, type PageKernels } from "#memory";
import type { Vcpu } from "#vcpu";

export class MachineRoom {
  readonly arena: Arena;
  readonly engine: TranslatingEngine;
  readonly kernels: PageKernels;
  #machines = 0;

  constructor(arena: Arena, engine: TranslatingEngine) {
    this.arena = arena;
    this.engine = engine;
    this.kernels = new ArenaKernels(arena, engine.runtime);
  }

  /** vCPUs for a machine whose memory is `space`, with `host` around them. Throws ArenaError where there is no place for them. */
  enter(space: AddressSpace, cpus: number, host: EngineHost): readonly Vcpu[] {
    const vcpus: Vcpu[] = [];
    try {
      for (let cpu = 0; cpu < cpus; cpu++) vcpus.push(this.engine.createVcpu(cpu, space.header, host));
    } catch (error) {
      this.#clear(vcpus, space);
      throw error;
    }
    this.#machines++;
    return vcpus;
  }

  /** A machine is no more: its place is another one's. Where it was the last, the room goes as a whole. */
  leave(vcpus: readonly Vcpu[], space: AddressSpace): void {
    if (--this.#machines === 0) return this.engine.close();
    this.#clear(vcpus, space);
  }

  #clear(vcpus: readonly Vcpu[], space: AddressSpace): void {
    for (const vcpu of vcpus) this.engine.removeVcpu(vcpu);
    space[Symbol.dispose]();
  }
}
