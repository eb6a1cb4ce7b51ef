/** Why the executor left translated code: the field LEAVE. */
export const Leave = {
  none: 0,
  /** The instruction at RIP raised FAULT_VECTOR; nothing of it happened. */
  fault: 1,
  /** No block for RIP: it must be lifted. */
  lift: 2,
  /** LEAVE_ARG is a block that became hot. */
  hot: 3,
  /** EVENTS is nonzero. */
  event: 4,
  /** ICOUNT_LIMIT is near: fewer instructions are left than the next block has. */
  limit: 5,
  /** The instruction at RIP must run alone: MMIO, or a store to code that may be running. */
  step: 6,
  /** HLT was retired. */
  halt: 7,
  /** The instruction at RIP is to be started again: a long string operation gave way. */
  again: 8,
  /** A triple fault. */
  shutdown: 9,
  /** The guest maps other frames than the region was made from: its first block is interpreted. Seen by the interpreter alone. */
  refused: 10,
  /** Compiled code met what only the interpreter does: the block at RIP is interpreted. Seen by the interpreter alone. */
  interpret: 11,
} as const;
export type Leave = (typeof Leave)[keyof typeof Leave];

/**
 * Bits of the field EVENTS.
 *
 * Law: any of them makes EVENTS a larger positive number than compiled code ever has left of its budget (`mostInstructions`), so that
 * a loop asks by one comparison whether to go on.
 */
export const eventShift = 24;
export const Event = {
  /** An interrupt, NMI or INIT may be deliverable. */
  interrupt: 1 << eventShift,
  /** The host wants the vCPU's attention: a message, a stop, the end of a time slice. */
  host: 2 << eventShift,
  /** A debug trap waits in PENDING_DB, or TF is set: step. */
  debug: 4 << eventShift,
  /** One instruction was run alone (the operation `stop`). */
  stop: 8 << eventShift,
  /** Another thread wants to be alone, or has told what to forget. */
  park: 16 << eventShift,
} as const;

/** Values of the field INHIBIT: what does not come before the next instruction is done. */
export const Shadow = {
  none: 0,
  /** After STI. */
  interrupts: 1,
  /** After MOV SS and POP SS, debug exceptions as well (SDM 3A, "Masking Exceptions and Interrupts When Switching Stacks"). */
  debug: 2,
} as const;
