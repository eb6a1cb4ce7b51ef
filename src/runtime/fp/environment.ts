/**
 * The IEEE floating-point environment of the operation in progress: what FCW or MXCSR ask for, and what happened.
 *
 * Each instruction loads the first group and clears the second before it computes, and folds the second into FSW or MXCSR
 * afterwards. They are Wasm globals, so each worker has its own.
 */

/** Exception flags, at the bits where FSW, FCW (masks) and MXCSR all have them. */
export const IE: u32 = 1;
export const DE: u32 = 2;
export const ZE: u32 = 4;
export const OE: u32 = 8;
export const UE: u32 = 16;
export const PE: u32 = 32;
export const ALL: u32 = 63;
/** Exceptions found by looking at the operands: unmasked, they stop the operation before it has a result. */
export const BEFORE: u32 = 7;

/** Rounding control, as FCW and MXCSR encode it. */
export const NEAREST: u32 = 0;
export const DOWN: u32 = 1;
export const UP: u32 = 2;
export const ZERO: u32 = 3;

export class Env {
  /** Rounding control: NEAREST, DOWN, UP or ZERO. */
  static rounding: u32 = 0;
  /** Masked exceptions, a set of the flags above. */
  static masked: u32 = 63;
  /** Exceptions of this operation so far. */
  static raised: u32 = 0;
  /** 1 when the last rounding increased the magnitude: what x87 shows in C1. */
  static up: u32 = 0;
}

/** True when an exception raised so far forbids a result. */
// @ts-ignore: decorator
@inline
export function stopped(): bool {
  return (Env.raised & ~Env.masked & BEFORE) != 0;
}

/**
 * 1 when a significand is to be rounded away from zero. `rest` holds what lies below its last bit `odd`, as a fraction of
 * 2^64 whose lowest bit is sticky.
 */
export function roundsAway(sign: u32, odd: u64, rest: u64): u64 {
  const mode = Env.rounding;
  if (mode == NEAREST) return u64(rest > 0x8000000000000000 || (rest == 0x8000000000000000 && odd != 0));
  if (rest == 0 || mode == ZERO) return 0;
  return u64((mode == UP) == (sign == 0));
}
