/**
 * The exceptions (SDM 3A, "Exception and Interrupt Vectors"). A fault reports the instruction itself, a trap the next
 * one; #DB is either. `class` is what makes two in a row a double fault (SDM 3A, table 6-5).
 */

export interface ExceptionFacts {
  readonly vector: number;
  /** As the manual abbreviates it. */
  readonly name: string;
  readonly errorCode: boolean;
  readonly kind: "fault" | "trap" | "abort" | "interrupt";
  readonly class: "benign" | "contributory" | "page-fault" | "double-fault";
}

const facts = (
  vector: number,
  name: string,
  errorCode: boolean,
  kind: ExceptionFacts["kind"],
  group: ExceptionFacts["class"] = "benign",
): ExceptionFacts => ({ vector, name, errorCode, kind, class: group });

export const EXCEPTIONS = {
  DE: facts(0, "#DE", false, "fault", "contributory"),
  DB: facts(1, "#DB", false, "fault"),
  NMI: facts(2, "NMI", false, "interrupt"),
  BP: facts(3, "#BP", false, "trap"),
  OF: facts(4, "#OF", false, "trap"),
  BR: facts(5, "#BR", false, "fault"),
  UD: facts(6, "#UD", false, "fault"),
  NM: facts(7, "#NM", false, "fault"),
  DF: facts(8, "#DF", true, "abort", "double-fault"),
  TS: facts(10, "#TS", true, "fault", "contributory"),
  NP: facts(11, "#NP", true, "fault", "contributory"),
  SS: facts(12, "#SS", true, "fault", "contributory"),
  GP: facts(13, "#GP", true, "fault", "contributory"),
  PF: facts(14, "#PF", true, "fault", "page-fault"),
  MF: facts(16, "#MF", false, "fault"),
  AC: facts(17, "#AC", true, "fault"),
  MC: facts(18, "#MC", false, "abort"),
  XM: facts(19, "#XM", false, "fault"),
} as const;

export type ExceptionName = keyof typeof EXCEPTIONS;

const byVector = new Map<number, ExceptionFacts>(Object.values(EXCEPTIONS).map((e) => [e.vector, e]));

/** What is known of a vector below 32; undefined for the reserved ones and for external interrupts. */
export const exceptionAt = (vector: number): ExceptionFacts | undefined => byVector.get(vector);

/** Bits of a page fault's error code (SDM 3A, "Page-Fault Exceptions"). */
export const PF_PRESENT = 1 << 0;
export const PF_WRITE = 1 << 1;
export const PF_USER = 1 << 2;
export const PF_RESERVED = 1 << 3;
export const PF_FETCH = 1 << 4;

/** Bits of a selector error code: an external event caused it; it indexes the IDT; it indexes the LDT. */
export const SELECTOR_EXT = 1 << 0;
export const SELECTOR_IDT = 1 << 1;
export const SELECTOR_TI = 1 << 2;
