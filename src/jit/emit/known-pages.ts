/**
 * Which accesses of a region remember the page that they were on last.
 *
 * In a loop most accesses stay on a page for a while: those by a pointer that steps through an array. Such an access has a *slot* of the vCPU (vcpu/layout.ts) with what the TLB said. As long as it stays on that page it asks nothing else:
 * fewer instructions than the TLB's index takes, and what it waits for is one addition instead of a load. Accesses of a loop
 * by the same registers share a slot.
 *
 * An access has a slot where the registers of its address only move by steps in the innermost loop around it. The stack has none: where
 * it lies across a page's end, calls and returns would go to and fro between two pages and find each the other's.
 *
 * Law: a slot holds what the TLB had an entry for since the last flush of anything. (A translation is valid until the vCPU's next
 * safepoint.)
 */
import { opRows } from "#ir";
import { at, gpr, knownPageSlots } from "#vcpu";
import type { RegionBlock } from "../hot/region.ts";
import { eachOperation } from "./operations.ts";
import { loopsOf, nodesOf, type Shape } from "./structure.ts";

/** What an operation accesses: by which registers, and how far from them. */
interface Access {
  readonly word: number;
  readonly base: number;
  /** Undefined where there is none. */
  readonly index: number | undefined;
  readonly key: string;
}

const rsp = gpr(4);

const isStackOp = (name: string): boolean => name === "push64" || name === "pop64" || name === "pushpc";
const isIndexed = (name: string): boolean => name.endsWith("x") && /^(ld|st)/.test(name);

/** By the word that its operation starts at: the slot of an access. */
export function knownPages(
  words: Int32Array,
  blocks: readonly RegionBlock[],
  shapes: readonly Shape[],
): Map<number, number> {
  const slots = new Map<number, number>();
  const seen = new Set<number>();
  // Inner loops before those around them.
  for (const loop of loopsOf(shapes).reverse()) {
    const nodes = nodesOf(loop);
    const steps = new Steps(
      words,
      nodes.map((node) => blocks[node]),
    );
    const taken = new Map<string, number>();
    for (const node of nodes) {
      if (seen.has(node)) continue;
      seen.add(node);
      for (const { word, base, index, key } of accessesOf(words, blocks[node])) {
        if (base === rsp || !steps.stays(base) || (index !== undefined && !steps.stays(index))) continue;
        const slot = taken.get(key) ?? slotFor(base, index, new Set(taken.values()));
        if (slot === undefined) continue;
        taken.set(key, slot);
        slots.set(word, slot);
      }
    }
  }
  return slots;
}

/** A free slot: by its registers, so that other regions that do the same find it filled. */
function slotFor(base: number, index: number | undefined, taken: ReadonlySet<number>): number | undefined {
  const first = (base >> 3) + 5 * ((index ?? 0) >> 3);
  for (let n = 0; n < knownPageSlots; n++) {
    const slot = (first + n) % knownPageSlots;
    if (!taken.has(slot)) return slot;
  }
  return undefined;
}

function accessesOf(words: Int32Array, block: RegionBlock): Access[] {
  const accesses: Access[] = [];
  eachOperation(words, block, (row, word) => {
    if ((row.format !== "mem" && row.format !== "mem2") || row.name.startsWith("lea")) return;
    const base = words[word + 1] & 0xffff;
    const index = isIndexed(row.name) ? words[word + 1] >>> 16 : undefined;
    // What is far from each other by the same register is on different pages, or will be.
    const near = (words[word + 2] + (base === at.RIP ? block.delta : 0) + 1024) >> 11;
    const scale = index === undefined ? 0 : (words[word + 3] >>> 14) & 3;
    const writes = !/^(ld(?!m)|pop)/.test(row.name);
    accesses.push({ word, base, index, key: `${writes ? "w" : "r"} ${base} ${index ?? ""} ${scale} ${near}` });
  });
  return accesses;
}

/** What happens to registers in a loop. */
class Steps {
  /** Registers that something else than a step changes. */
  readonly #jump = new Set<number>();

  constructor(words: Int32Array, blocks: readonly RegionBlock[]) {
    const steps: { to: number; from: readonly number[] }[] = [];
    for (const block of blocks) {
      eachOperation(words, block, (row, word) => {
        if (row.format === "call") return;
        if (isStackOp(row.name) && row.name !== "pop64") return;
        if (!row.dWritten) return;
        const to = words[word] >>> 16;
        if (to >= at.RIP) return;
        const register = to & ~7;
        const from = sourcesOf(words, word);
        if (from === undefined || to !== register) this.#jump.add(register);
        else steps.push({ to: register, from });
      });
    }
    for (let changed = true; changed; ) {
      changed = false;
      for (const { to, from } of steps) {
        if (this.#jump.has(to) || from.every((each) => this.stays(each))) continue;
        this.#jump.add(to);
        changed = true;
      }
    }
  }
  stays(field: number): boolean {
    return !this.#jump.has(field & ~7);
  }
}

/** What a step adds up: operand a and a constant; a and b; nothing. Everything else is no step. */
const stepsFrom: readonly ("a" | "ab" | "" | undefined)[] = opRows.map(({ name }) => {
  if (/^(mov(32|64)|sx32_64|(inc|dec)(32|64)f|(add|sub)(32|64)if?|lea(32|64))$/.test(name)) return "a";
  if (/^((add|sub)(32|64)f?|lea(32|64)x)$/.test(name)) return "ab";
  return name === "const64" ? "" : undefined;
});

/** The registers that an operation's result is a step from; undefined where it is none. */
function sourcesOf(words: Int32Array, word: number): number[] | undefined {
  const a = words[word + 1] & 0xffff;
  switch (stepsFrom[words[word] & 0xffff]) {
    case "":
      return [];
    case "a":
      return [a];
    case "ab":
      return [a, words[word + 1] >>> 16];
  }
}
