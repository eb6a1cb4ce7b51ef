/**
 * Operand kinds in the notation of the opcode map (SDM 2D, appendix A): a letter for where the operand lives, a letter
 * for how wide it is.
 *
 * `place` says where, `size` how many bytes; `v`, `z`, `y` and `p` depend on the instruction's effective sizes:
 * `v` is operandSize, `z` is min(operandSize, 4), `y` is 8 with operandSize 8 and else 4, `a` is the natural width of
 * the mode (8 in 64-bit code, else 4), 0 means that the instruction itself says.
 */

export type OperandPlace =
  /** General register or memory, chosen by ModRM.mod. */
  | "rm"
  /** General register named by ModRM.rm, whatever mod says or because mod must be 3. */
  | "rm-register"
  /** Memory only. */
  | "memory"
  /** General register named by ModRM.reg. */
  | "reg"
  /** General register named by the low three bits of the opcode. */
  | "opcode-register"
  /** Register fixed by the opcode: the number is in `register`. */
  | "fixed"
  | "immediate"
  /** Branch displacement, relative to the next instruction. */
  | "relative"
  /** Absolute far pointer: offset in imm, selector in imm2. */
  | "far-pointer"
  /** Memory at an absolute offset without ModRM. */
  | "moffs"
  /** Memory at DS:rSI (segment may be overridden), or at ES:rDI. */
  | "string-source"
  | "string-destination"
  /** Segment, control or debug register named by ModRM.reg; or a segment register fixed by the opcode. */
  | "segment-reg"
  | "segment-fixed"
  | "control-reg"
  | "debug-reg"
  /** XMM register by ModRM.reg; XMM or memory by ModRM.rm; XMM only by ModRM.rm; XMM0. */
  | "xmm-reg"
  | "xmm-rm"
  | "xmm-rm-register"
  | "xmm-fixed"
  /** MMX, likewise. REX has no say over these. */
  | "mmx-reg"
  | "mmx-rm"
  | "mmx-rm-register"
  /** x87 stack top; x87 register named by ModRM.rm. */
  | "st0"
  | "sti"
  /** The constant one of the short shifts. */
  | "one";

export interface OperandShape {
  readonly place: OperandPlace;
  readonly size: 0 | 1 | 2 | 4 | 6 | 8 | 10 | 16 | "v" | "z" | "y" | "a";
  /** For `fixed`, `segment-fixed` and `xmm-fixed`: the register's number. */
  readonly register?: number;
  /** For immediates: true when sign-extended from `size` to operandSize. */
  readonly signed?: boolean;
  /** For "rm" kinds whose memory form is narrower than the register form. */
  readonly memorySize?: 1 | 2 | 4 | 8;
}

export const OPERANDS = {
  // General registers or memory.
  Eb: { place: "rm", size: 1 },
  Ew: { place: "rm", size: 2 },
  Ed: { place: "rm", size: 4 },
  Eq: { place: "rm", size: 8 },
  Ev: { place: "rm", size: "v" },
  Ey: { place: "rm", size: "y" },
  /** The natural width: 8 in 64-bit code, 4 elsewhere, no prefix needed. */
  Ea: { place: "rm", size: "a" },
  /** A 16-bit memory operand, or a register of operandSize (SLDT, STR, SMSW, MOV from Sreg). */
  RvMw: { place: "rm", size: "v", memorySize: 2 },
  /** A 32-bit register, or memory of one or two bytes (PINSRB, PEXTRB, PINSRW, PEXTRW). */
  RdMb: { place: "rm", size: 4, memorySize: 1 },
  RdMw: { place: "rm", size: 4, memorySize: 2 },

  // General registers by ModRM.rm.
  Rd: { place: "rm-register", size: 4 },
  Rv: { place: "rm-register", size: "v" },
  Ry: { place: "rm-register", size: "y" },
  Ra: { place: "rm-register", size: "a" },

  // General registers by ModRM.reg.
  Gb: { place: "reg", size: 1 },
  Gw: { place: "reg", size: 2 },
  Gd: { place: "reg", size: 4 },
  Gq: { place: "reg", size: 8 },
  Gv: { place: "reg", size: "v" },
  Gz: { place: "reg", size: "z" },
  Gy: { place: "reg", size: "y" },
  Ga: { place: "reg", size: "a" },

  // General registers in the opcode.
  Zb: { place: "opcode-register", size: 1 },
  Zv: { place: "opcode-register", size: "v" },
  Zy: { place: "opcode-register", size: "y" },

  // Memory.
  /** An address alone, or memory of a size the instruction says. */
  M: { place: "memory", size: 0 },
  Mb: { place: "memory", size: 1 },
  Mw: { place: "memory", size: 2 },
  Md: { place: "memory", size: 4 },
  Mq: { place: "memory", size: 8 },
  Mo: { place: "memory", size: 16 },
  Mv: { place: "memory", size: "v" },
  My: { place: "memory", size: "y" },
  /** Ten bytes: an 80-bit real, or packed BCD. */
  Mt: { place: "memory", size: 10 },
  /** Far pointer in memory: offset of operandSize, then a 16-bit selector. */
  Mp: { place: "memory", size: 0 },
  /** Descriptor table register in memory: 16-bit limit, then a base of natural width. */
  Ms: { place: "memory", size: 0 },
  /** Two bounds of operandSize (BOUND). */
  Ma: { place: "memory", size: 0 },
  /** x87 environment, 14 or 28 bytes by operand size; the whole x87 state, 94 or 108 bytes. */
  Menv: { place: "memory", size: 0 },
  Mfst: { place: "memory", size: 0 },
  Ob: { place: "moffs", size: 1 },
  Ov: { place: "moffs", size: "v" },
  Xb: { place: "string-source", size: 1 },
  Xv: { place: "string-source", size: "v" },
  Xz: { place: "string-source", size: "z" },
  Yb: { place: "string-destination", size: 1 },
  Yv: { place: "string-destination", size: "v" },
  Yz: { place: "string-destination", size: "z" },

  // Immediates.
  /** One byte, zero-extended: counts, ports, selectors of an operation, and byte arithmetic. */
  Ib: { place: "immediate", size: 1 },
  /** One byte, sign-extended. */
  Ibs: { place: "immediate", size: 1, signed: true },
  /** Two bytes, zero-extended. */
  Iw: { place: "immediate", size: 2 },
  /** Two or four bytes, sign-extended to operandSize. */
  Iz: { place: "immediate", size: "z", signed: true },
  /** operandSize bytes (MOV to register alone), sign-extended to 64 bits. */
  Iv: { place: "immediate", size: "v", signed: true },
  /** ENTER's second immediate, in imm2. */
  Ib2: { place: "immediate", size: 1 },
  Jb: { place: "relative", size: 1, signed: true },
  Jz: { place: "relative", size: "z", signed: true },
  Ap: { place: "far-pointer", size: 0 },
  "1": { place: "one", size: 1 },

  // Fixed registers.
  AL: { place: "fixed", size: 1, register: 0 },
  CL: { place: "fixed", size: 1, register: 1 },
  AX: { place: "fixed", size: 2, register: 0 },
  DX: { place: "fixed", size: 2, register: 2 },
  /** Accumulator of two or four bytes (IN, OUT). */
  eAX: { place: "fixed", size: "z", register: 0 },
  /** Accumulator of operandSize. */
  rAX: { place: "fixed", size: "v", register: 0 },
  ES: { place: "segment-fixed", size: 2, register: 0 },
  CS: { place: "segment-fixed", size: 2, register: 1 },
  SS: { place: "segment-fixed", size: 2, register: 2 },
  DS: { place: "segment-fixed", size: 2, register: 3 },
  FS: { place: "segment-fixed", size: 2, register: 4 },
  GS: { place: "segment-fixed", size: 2, register: 5 },
  Sw: { place: "segment-reg", size: 2 },
  Ca: { place: "control-reg", size: "a" },
  Da: { place: "debug-reg", size: "a" },

  // SSE. The size is what takes part: Vd is the low 32 bits of an XMM register, Vo all 128.
  Vd: { place: "xmm-reg", size: 4 },
  Vq: { place: "xmm-reg", size: 8 },
  Vo: { place: "xmm-reg", size: 16 },
  Ww: { place: "xmm-rm", size: 2 },
  Wd: { place: "xmm-rm", size: 4 },
  Wq: { place: "xmm-rm", size: 8 },
  Wo: { place: "xmm-rm", size: 16 },
  Uq: { place: "xmm-rm-register", size: 8 },
  Uo: { place: "xmm-rm-register", size: 16 },
  XMM0: { place: "xmm-fixed", size: 16, register: 0 },

  // MMX.
  Pd: { place: "mmx-reg", size: 4 },
  Pq: { place: "mmx-reg", size: 8 },
  Qd: { place: "mmx-rm", size: 4 },
  Qq: { place: "mmx-rm", size: 8 },
  Nq: { place: "mmx-rm-register", size: 8 },

  // x87.
  ST0: { place: "st0", size: 10 },
  STi: { place: "sti", size: 10 },
} as const satisfies Record<string, OperandShape>;

export type OperandKind = keyof typeof OPERANDS;
