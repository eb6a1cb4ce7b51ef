/**
 * What a machine's memslots are mapped onto: what was saved, where it goes on from a snapshot, and somewhere for what is evicted.
 */
import { gfnOf, pageSize } from "#address";
import {
  ArenaError,
  farService,
  type MemoryBacking,
  type MemoryObject,
  MemoryObjectError,
  type Memslot,
  newMemoryObject,
  type PageKernels,
} from "#memory";
import { farLine, farRingBytes } from "./far-line.ts";
import type { IoThreads } from "./io-threads.ts";
import type { EngineOptions, MachineConfig, MachineHost } from "./machine-host.ts";

/** Of the random moments at which pages are evicted for the sake of it; undefined: none are. */
export const evictionSeedOf = ({ evictionSeed, chaosSeed }: EngineOptions): number | undefined =>
  evictionSeed ?? chaosSeed;

/**
 * Somewhere for the pages of these slots when they are evicted; undefined where none ever are. Throws `ArenaError` where the host cannot
 * give it.
 */
export function newBacking(
  config: MachineConfig,
  slots: readonly Memslot[],
  kernels: PageKernels,
  host: MachineHost,
  io: IoThreads,
): MemoryObject | undefined {
  const backing = config.memoryBacking ?? impliedBacking(config);
  if (backing === undefined) return undefined;
  const pageCount = Math.max(...slots.map((slot) => gfnOf(slot.gpa) + slot.sizeBytes / pageSize));
  try {
    return newMemoryObject(backing, pageCount, kernels, {
      ...host.memory,
      farLine: (servers) => {
        const line = io.line({ service: farService, config: servers, ringBytes: farRingBytes });
        return farLine(line, () => line.poll(), host);
      },
      onServers: ({ text }) => host.report("notice", text),
    });
  } catch (error) {
    throw error instanceof MemoryObjectError ? new ArenaError(error.message) : error;
  }
}

/** Without a word about it: where pages go all the same. */
function impliedBacking({ reclaim, engine }: MachineConfig): MemoryBacking | undefined {
  if (reclaim) return { kind: "compressed" };
  return evictionSeedOf(engine) === undefined ? undefined : { kind: "plain" };
}
