/** A broken law of our own: never caused by a guest, never caught. */
export class Bug extends Error {
  override name = "Bug";
}

export function assert(condition: unknown, law: string): asserts condition {
  if (!condition) throw new Bug(law);
}

/** Closes a `switch` over a union: a new case makes the compiler list the places to visit. */
export function assertNever(value: never): never {
  throw new Bug(`no case for ${String(value)}`);
}
