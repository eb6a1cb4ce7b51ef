/**
 * Arithmetic flags, kept lazily: which operation set them last and its operands, not the bits.
 *
 * In the record, CC_A and CC_B hold the operands *shifted to the top* of 64 bits (by 64 minus the operation's width), so
 * that unsigned and signed 64-bit comparisons answer every condition for every width with one and the same code.
 *
 * kind = class * 4 + log2(bytes):
 *   EXPLICIT  CC_A = CF PF AF ZF SF OF at their places in EFLAGS
 *   ADD       flags of a + b                    SUB  flags of a - b
 *   ADC       flags of a + b + CC_C (0 or 1)    SBB  flags of a - b - CC_C
 *   LOGIC     flags of result CC_A; CF = OF = AF = 0
 *   RESULT    ZF SF PF from CC_A (a result); CF OF AF from CC_C, at their places in EFLAGS
 *   SHL SHR SAR  flags of CC_A shifted by CC_C, which is 1 to 63; OF as for a shift by one; AF = 0
 *   FLOAT     flags of UCOMISD of the doubles CC_A and CC_B, of which no denormal counts as zero
 *   MUL       flags of the signed product of a and b: CF = OF = it does not fit; AF = 0
 *   INC DEC   flags of the result CC_A of a count by one; CF is CC_C (0 or 1)
 */
export const FlagsClass = {
  EXPLICIT: 0,
  ADD: 1,
  SUB: 2,
  ADC: 3,
  SBB: 4,
  LOGIC: 5,
  RESULT: 6,
  SHL: 7,
  SHR: 8,
  SAR: 9,
  MUL: 10,
  FLOAT: 11,
  INC: 12,
  DEC: 13,
} as const;
export type FlagsClass = (typeof FlagsClass)[keyof typeof FlagsClass];

/** Operand widths as log2 of bytes. */
export type SizeLog2 = 0 | 1 | 2 | 3;

export const flagsKind = (cls: FlagsClass, size: SizeLog2): number => cls * 4 + size;

/** The six arithmetic flags in EFLAGS. */
export const arithmeticFlags = 0x8d5;
