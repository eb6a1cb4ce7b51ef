/** The meaning of every operation that has one by itself: all but control operations. */
import { integerSemantics } from "./integer.ts";
import type { Semantics } from "./op-emitter.ts";
import { vectorSemantics } from "./vector.ts";

const all: ReadonlyMap<string, Semantics> = new Map([...integerSemantics, ...vectorSemantics]);

export function semanticsOf(name: string): Semantics {
  const found = all.get(name);
  if (!found) throw new Error(`the operation ${name} has no semantics`);
  return found;
}
