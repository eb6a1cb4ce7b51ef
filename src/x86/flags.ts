/**
 * The bits of RFLAGS (SDM 1, "EFLAGS Register") and the sets of them that instructions change together.
 */

export const CF = 1 << 0;
export const PF = 1 << 2;
export const AF = 1 << 4;
export const ZF = 1 << 6;
export const SF = 1 << 7;
export const TF = 1 << 8;
export const IF = 1 << 9;
export const DF = 1 << 10;
export const OF = 1 << 11;
/** Two bits: the I/O privilege level. */
export const IOPL = 3 << 12;
export const IOPL_SHIFT = 12;
export const NT = 1 << 14;
export const RF = 1 << 16;
export const VM = 1 << 17;
export const AC = 1 << 18;
export const VIF = 1 << 19;
export const VIP = 1 << 20;
export const ID = 1 << 21;

/** Bit 1 always reads as one. */
export const FLAGS_ALWAYS_ONE = 1 << 1;
/** The six status flags that arithmetic writes. */
export const STATUS_FLAGS = CF | PF | AF | ZF | SF | OF;
/** Every flag that exists; the other bits of RFLAGS are fixed. */
export const ALL_FLAGS = STATUS_FLAGS | TF | IF | DF | IOPL | NT | RF | VM | AC | VIF | VIP | ID;

const letters: readonly (readonly [string, number])[] = [
  ["ID", ID],
  ["AC", AC],
  ["RF", RF],
  ["NT", NT],
  ["OF", OF],
  ["DF", DF],
  ["IF", IF],
  ["TF", TF],
  ["SF", SF],
  ["ZF", ZF],
  ["AF", AF],
  ["PF", PF],
  ["CF", CF],
];

/** The flags that are set, by name, highest first: `"IF ZF PF"`. */
export function printFlags(flags: number): string {
  return letters
    .filter(([, bit]) => flags & bit)
    .map(([name]) => name)
    .join(" ");
}
