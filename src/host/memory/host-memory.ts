/**
 * This process's part in sharing the host's memory among machines: it looks each second what the host has and what all machines of this
 * user hold, and tells its own what to do about it (host-policy.ts).
 */
import { pageSize } from "#address";
import type { HostPressure, VmMemory } from "#control";
import { readHostFigures } from "./host-figures.ts";
import { Chooser, frameLimitOf, judgeHost, type MachineHolding } from "./host-policy.ts";
import { Ledger } from "./ledger.ts";

const lookEveryMs = 1000;
/** What it is told in: files are not written anew for a page. */
const grainBytes = 1 << 20;

export interface HostMemoryParts {
  /** Called once, when there is a machine. */
  openLedger(): HostLedger | undefined;
  readonly figures: typeof readHostFigures;
  now(): number;
}

type HostLedger = Pick<Ledger, "limitBytes" | "others" | "write">;

interface Member {
  readonly id: string;
  readonly memory: Pick<VmMemory, "held" | "host">;
  chosenAt: number | undefined;
  told: string;
}

export class HostMemory {
  readonly #parts: HostMemoryParts;
  readonly #members = new Set<Member>();
  readonly #chooser = new Chooser();
  #ledger: HostLedger | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #numbered = 0;

  constructor(parts: HostMemoryParts) {
    this.#parts = parts;
  }

  /** The machine takes part, until what this gives is disposed of. */
  add(memory: Member["memory"]): Disposable {
    const member: Member = { id: `${process.pid}.${++this.#numbered}`, memory, chosenAt: undefined, told: "" };
    this.#members.add(member);
    if (this.#timer === undefined) {
      this.#ledger ??= this.#parts.openLedger();
      this.#timer = setInterval(() => this.look(), lookEveryMs).unref();
    }
    return {
      [Symbol.dispose]: () => {
        this.#members.delete(member);
        if (this.#members.size > 0) return;
        clearInterval(this.#timer);
        this.#timer = undefined;
        this.#ledger?.write([]);
      },
    };
  }

  look(): void {
    const { figures, now } = this.#parts;
    const ledger = this.#ledger;
    const own = [...this.#members].map(holdingOf);
    const all = [...own, ...(ledger?.others() ?? [])];
    const judgement = judgeHost(figures(), all, ledger?.limitBytes);
    const { stop, go } = this.#chooser.choose(judgement, all, now());
    for (const member of this.#members) {
      if (member.id === stop) member.chosenAt = now();
      if (member.id === go) member.chosenAt = undefined;
      const limitBytes = frameLimitOf(holdingOf(member), all, judgement);
      tell(member, {
        level: judgement.level,
        chosen: member.chosenAt !== undefined,
        ...(limitBytes !== undefined && { limitFrames: Math.floor(limitBytes / pageSize) }),
      });
    }
    ledger?.write([...this.#members].map(holdingOf));
  }
}

function tell(member: Member, pressure: HostPressure): void {
  const text = JSON.stringify(pressure);
  if (text === member.told) return;
  member.told = text;
  member.memory.host = pressure;
}

function holdingOf({ id, memory, chosenAt }: Member): MachineHolding {
  const { frameBytes, storedBytes } = memory.held;
  const grains = (bytes: number): number => Math.ceil(bytes / grainBytes) * grainBytes;
  return {
    id,
    frameBytes: grains(frameBytes),
    storedBytes: grains(storedBytes),
    ...(chosenAt !== undefined && { chosenAt }),
  };
}

/** Of this process. */
export const hostMemory = new HostMemory({ openLedger, figures: readHostFigures, now: Date.now });

function openLedger(): Ledger | undefined {
  try {
    return new Ledger();
  } catch {
    // Then this process counts its own machines.
    return undefined;
  }
}
