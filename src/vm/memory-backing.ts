/**
 * What a machine's memslots are mapped onto: what was saved, where it goes on from a snapshot, and somewhere for what is evicted.
 *
 * A machine that has nowhere for it can still be short of memory: then there is such a place from that moment on.
 */
import { gfnOf, pageSize } from "#address";
import {
  type AddressSpace,
  ArenaError,
  farService,
  type MemoryBacking,
  type MemoryObject,
  MemoryObjectError,
  type Memslot,
  newMemoryObject,
  OverlayPages,
} from "#memory";
import { farLine, farRingBytes } from "./far-line.ts";
import type { IoThreads } from "./io-threads.ts";
import type { EngineOptions, MachineConfig, MachineHost } from "./machine-host.ts";
import type { MachineRoom } from "./machine-room.ts";

/** Of the random moments at which pages are evicted for the sake of it; undefined: none are. */
export const evictionSeedOf = ({ evictionSeed, chaosSeed }: EngineOptions): number | undefined =>
  evictionSeed ?? chaosSeed;

/** What it has of its machine. */
interface BackingParts {
  readonly config: MachineConfig;
  readonly space: AddressSpace;
  readonly slots: readonly Memslot[];
  readonly room: Pick<MachineRoom, "kernels" | "sharedStore">;
  readonly host: MachineHost;
  readonly io: IoThreads;
}

export class Backing implements Disposable {
  readonly #parts: BackingParts;
  #evicted: MemoryObject | undefined;

  /** Maps the slots onto what was `saved`, if they go on from that. Throws `ArenaError` where the host cannot give what it takes. */
  constructor(parts: BackingParts, saved: MemoryObject | undefined) {
    this.#parts = parts;
    const { config, slots, space } = parts;
    const backing = config.memoryBacking ?? impliedBacking(config);
    this.#evicted = backing && newEvicted(backing, parts);
    const object = saved && this.#evicted ? new OverlayPages(this.#evicted, saved) : (saved ?? this.#evicted);
    if (object) for (const slot of slots) space.swap.map(slot, object, gfnOf(slot.gpa));
  }

  /** Where evicted pages go; undefined where none has anywhere to go. */
  get evicted(): MemoryObject | undefined {
    return this.#evicted;
  }

  /** They have somewhere to go from now on, though nobody said where. */
  need(): void {
    if (this.#evicted !== undefined) return;
    const { slots, space } = this.#parts;
    const evicted = newEvicted({ kind: "compressed" }, this.#parts);
    this.#evicted = evicted;
    const saved = space.swap.objectAt(gfnOf(slots[0].gpa));
    if (saved) space.swap.cover(saved, new OverlayPages(evicted, saved));
    else for (const slot of slots) space.swap.map(slot, evicted, gfnOf(slot.gpa));
  }

  [Symbol.dispose](): void {
    this.#evicted?.[Symbol.dispose]();
  }
}

function newEvicted(backing: MemoryBacking, { slots, room, host, io }: BackingParts): MemoryObject {
  const pageCount = Math.max(...slots.map((slot) => gfnOf(slot.gpa) + slot.sizeBytes / pageSize));
  try {
    return newMemoryObject(backing, pageCount, room.kernels, {
      ...host.memory,
      sharedStore: (make) => room.sharedStore(make),
      farLine: (servers) => {
        const line = io.line({ service: farService, config: servers, ringBytes: farRingBytes });
        return farLine(line, () => line.poll(), host);
      },
      onServers: ({ state, text }) => {
        host.report("notice", text);
        host.memoryOutOfReach?.(state === "gone" ? text : undefined);
      },
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
