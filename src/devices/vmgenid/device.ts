/**
 * The VM generation ID: 16 random bytes in guest memory that differ between copies of one machine ("Virtual Machine Generation ID",
 * Microsoft, 2012; the DSDT's VGEN). When they change while the guest runs, an ACPI event tells it: Linux then seeds its random
 * generator anew.
 *
 * The bytes are in memory, and the line is low between two calls: there is nothing else to save. A guest that was saved before the
 * device was there has its interrupt masked, and the page is its BIOS's.
 */
import { gpa } from "#address";
import type { GuestMemory } from "#memory";
import type { IrqLine } from "../bus.ts";
import { generationIdAddress } from "../memory-map.ts";

const idBytes = 16;

type Random = (target: Uint8Array) => void;

export class GenerationId {
  readonly #memory: Pick<GuestMemory, "write">;
  readonly #line: IrqLine;

  constructor(memory: Pick<GuestMemory, "write">, line: IrqLine) {
    this.#memory = memory;
    this.#line = line;
  }

  /** The first ID, before the guest runs. */
  begin(random: Random): void {
    const id = new Uint8Array(idBytes);
    random(id);
    this.#memory.write(gpa(generationIdAddress), id);
  }

  /** The guest is a copy from now on, or goes on from an earlier moment: it has another ID, and is told. */
  renew(random: Random): void {
    this.begin(random);
    this.#line.set(true);
    this.#line.set(false);
  }
}
