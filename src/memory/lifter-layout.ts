/**
 * What an engine keeps for lifting by example (runtime/lift.ts, jit/lift/templates.ts): a record, tables by number, a hash
 * table of heads, and templates.
 *
 * A *head* is what an instruction's bytes are but for displacement and immediate: prefix, REX, opcode, ModRM, SIB. Its key, u64:
 *   7..0 opcode, 15..8 ModRM, 23..16 SIB, 24 the opcode is behind 0F, 29..25 REX (0 none, else 16 and its low bits),
 *   34..32 the prefix (0 none, 1 66, 2 F3, 3 F2, 4 64, 5 65), 42 where it may read flags, and then 41..40 what is known of them before it, 46..45 the
 *   mode's bits about FPU and SSE
 *
 * A template: a header T_..., then for each four of its words T_QUARTET bytes: the words, and which of the numbers and of the places
 * (`templateValues`) is added to each, as i8x16.swizzle wants it.
 */
export const lifterFields = {
  /** Address of the next instruction, and where its page ends. */
  Y_AT: 0,
  Y_END: 4,
  /** Where its operations go, and how far they may begin. */
  Y_OUT: 8,
  Y_OUT_LIMIT: 12,
  /** Its distance from the block's start, the instructions before it, and how many the block may have. */
  Y_POSITION: 16,
  Y_COUNT: 20,
  Y_MOST: 24,
  /** What is known of the flags (ir/builder.ts). */
  Y_KNOWN: 28,
  /** The block has ended with an operation of its own. */
  Y_ENDED: 32,
  /** Bytes before the immediate, and the displacement, of an instruction that has no template. */
  Y_HEAD: 36,
  Y_DISPLACEMENT: 40,
  /** Before here flag writes that nobody sees are taken away; and the end of those of which that is not known yet, from Y_WAITING on. */
  Y_TIDIED: 84,
  Y_WAITING_END: 80,
  /** Number of the operation that goes on behind the block. */
  Y_JUMP: 44,
  Y_KEY: 48,
  /** What the mode adds to the key's upper half. */
  Y_MODE: 60,
  /** A copy of its bytes, 16 at most, and how many: what is learnt is learnt from them, whoever stores to the page meanwhile. */
  Y_BYTES_COUNT: 56,
  Y_BYTES: 64,
  /** By ModRM byte, in 64-bit code: bytes of displacement, and the flags below. */
  Y_MODRM: 256,
  /** By opcode byte, then by the byte after 0F: the flags below. */
  Y_OPCODE: 512,
  /** By operation: what it means to flags (jit/opt/dead-flags.ts), its bytes, and, u16, the same one without flags. */
  Y_EFFECTS: 1024,
  Y_OP_BYTES: 2048,
  Y_PLAIN: 3072,
  /**
   * Heads, by their keys: u64 key, and in the upper 16 bits its template's distance from the record in units of 16 bytes; 0 where it
   * can have none, all ones where it was met only once.
   */
  Y_HEADS: 8192,
  Y_TEMPLATES: 8192 + 16384 * 8,
  /** Operations whose flag writes may be taken away. */
  Y_WAITING: 0xb8000,
  Y_TOTAL: 0xc0000,
} as const;

export const lifterOperations = 1024;

/** What may be added to a template's word, by its place among the numbers: bytes of a vector. */
export const templateNumbers = {
  V_IMMEDIATE: 0,
  V_IMMEDIATE_HIGH: 4,
  /** All bits the immediate's sign, as its low 32 bits have it. */
  V_SIGN: 8,
  /** Position and count, as an operation that may leave carries them. */
  V_STAMP: 12,
} as const;
/** The same among the places. */
export const templatePlaces = {
  V_DISPLACEMENT: 0,
  /** Distance from the block's start of what follows; the sum of that and displacement, or immediate. */
  V_NEXT: 4,
  V_NEXT_DISPLACEMENT: 8,
  V_NEXT_IMMEDIATE: 12,
} as const;

export const templateFields = {
  /** Bytes of its operations. */
  T_BYTES: 0,
  T_IMMEDIATE_BYTES: 1,
  /** Bits that are not the immediate's, of 64. */
  T_IMMEDIATE_SHIFT: 2,
  T_IMMEDIATE_SIGNED: 3,
  /** What is known of the flags after it; 12: what was before. */
  T_KNOWN: 4,
  T_ENDS: 5,
  /**
   * What its operations mean to flags, 8 bytes: for each that means something its distance from the first one, a multiple of 8, and in the low
   * bits the effect; 0 no more.
   */
  T_EFFECTS: 8,
  T_HEADER: 16,
  /** In a quartet. */
  T_NUMBERS: 16,
  T_PLACES: 32,
  T_QUARTET: 48,
} as const;

/** At Y_MODRM, beside the bytes of displacement (0, 1 or 4). */
export const modrmFlags = {
  M_SIB: 8,
  /** Relative to RIP. */
  M_RIP: 16,
} as const;

/** At Y_OPCODE. */
export const opcodeFlags = {
  O_MODRM: 1,
  /** Some rule asks what is known of the flags. */
  O_READS_FLAGS: 2,
  /** No head begins so, or goes on so. */
  O_UNKNOWN: 4,
  O_REX: 8,
  /** 0F */
  O_ESCAPE: 16,
  O_PREFIX_SHIFT: 5,
} as const;

/** What `lift_on` answers. */
export const lifted = {
  /** The block is done, but for `lift_end`. */
  LIFTED: 0,
  /** The next instruction has no template, and cannot have one; or can have one. */
  LIFT_OTHER: 1,
  LIFT_LEARN: 2,
} as const;
