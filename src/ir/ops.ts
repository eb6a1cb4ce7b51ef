// biome-ignore-all format: a table reads better in rows
/**
 * The operations of the IR, as one table.
 *
 * An operand is a *field*: a byte offset into the vCPU record, read or written with the type the operation names.
 * Types: i8 and i16 merge into what surrounds them; i32 as a destination clears the upper half of its 8-byte slot (as
 * x86-64 and A64 registers do); w32 writes four bytes and keeps the rest (a vector lane); i64, v128 as they are.
 * So AH is the i8 at gpr(0)+1, and a scalar double is the i64 at xmm(n).
 *
 * Law: within an instruction nothing architectural is written before the last operation that may leave, so that
 * leaving finds the state of the instruction's start (TEMP and VTEMP fields are not architectural).
 *
 * Formats, in 16-bit units of little-endian memory, 8-byte aligned (u = unused):
 *   rrr    op d a b
 *   rri    op d a u   imm64
 *   mem    op v base index   disp32 position count          address = base + (index << scale) + disp
 *   mem2   op v base index   disp32 position count   c u u u
 *   jump   op u link32       delta32 u32
 *   branch op u link32       delta32 delta32   link32 u32
 *   target op u a returns    link32 u32   16 delta32         an indirect jump; its deltas are places it was seen to go to, the
 *                                                            latest first, 0 = none; returns = 1 for what ends a call
 *   call   op id a b         imm32 position count           a runtime helper
 *   pos    op d a b          imm32 position count           as rri, for an operation that may leave
 * `position` is the instruction's offset from its block's start, its top two bits the scale; `count` the number of
 * instructions before it in the block, its top bit set for accesses to the stack segment. `link` is the arena offset of the next block once known
 * (a guess, where that lies on another page: jit/emit/interpreter.ts); of an indirect jump, of the place it went to last. `delta` counts from
 * the block's start.
 */
import { targetSlots } from "#vcpu";
import { type VectorOp, type VectorSignature, vectorOps } from "./vector-ops.ts";

export type OpFormat = "rrr" | "rri" | "mem" | "mem2" | "jump" | "branch" | "target" | "call" | "pos";
export type FieldType = "i8" | "i16" | "i32" | "i64" | "w32" | "v128";
/** "" = operand not used. */
export type OperandType = FieldType | "";

export interface OpRow {
  readonly name: string;
  readonly format: OpFormat;
  readonly d: OperandType;
  /** The destination is read as well. */
  readonly dRead: boolean;
  readonly dWritten: boolean;
  readonly a: OperandType;
  readonly b: OperandType;
  readonly readsFlags: boolean;
  readonly writesFlags: boolean;
  /** Flags survive on some paths (a shift by zero). */
  readonly keepsFlags: boolean;
  /** May leave at the instruction's start: a fault, MMIO, a store to code. */
  readonly leaves: boolean;
  readonly ends: boolean;
}

export const sizeNames = ["8", "16", "32", "64"] as const;
type Size = (typeof sizeNames)[number];
const typeOf: Record<Size, FieldType> = { "8": "i8", "16": "i16", "32": "i32", "64": "i64" };

const table: OpRow[] = [];
const plain = {
  d: "", dRead: false, dWritten: false, a: "", b: "", readsFlags: false, writesFlags: false, keepsFlags: false, leaves: false, ends: false,
} as const;
function add<const N extends string>(name: N, format: OpFormat, rest: Partial<OpRow>): N {
  table.push({ ...plain, ...rest, name, format });
  return name;
}
const put = (d: FieldType) => ({ d, dWritten: true }) as const;
const update = (d: FieldType) => ({ d, dWritten: true, dRead: true }) as const;

/** Families: members lie side by side by size, so that `family + log2(size)` names one. */
const binary = ["add", "sub", "and", "or", "xor"] as const;
const shifts = ["shl", "shr", "sar", "rol", "ror"] as const;
const carry = ["adc", "sbb"] as const;
const compare = ["cmp", "test"] as const;

for (const s of sizeNames) add(`mov${s}`, "rrr", { ...put(typeOf[s]), a: typeOf[s] });
add("movw32", "rrr", { ...put("w32"), a: "w32" });
add("movv", "rrr", { ...put("v128"), a: "v128" });
for (const s of ["8", "16", "64"] as const) add(`const${s}`, "rri", put(typeOf[s]));
/** d = a number of the code as it is now, extended with its sign or zeros; imm: its arena address. */
const codeNumbers = ["s8", "z8", "s16", "s32", "s64"] as const;
for (const s of codeNumbers) add(`code_${s}`, "rri", put("i64"));
for (const [from, to] of [["8", "16"], ["8", "32"], ["16", "32"]] as const) add(`zx${from}_${to}`, "rrr", { ...put(typeOf[to]), a: typeOf[from] });
for (const [from, to] of [["8", "16"], ["8", "32"], ["8", "64"], ["16", "32"], ["16", "64"], ["32", "64"]] as const) {
  add(`sx${from}_${to}`, "rrr", { ...put(typeOf[to]), a: typeOf[from] });
}
for (const name of binary) {
  for (const s of sizeNames) add(`${name}${s}`, "rrr", { ...put(typeOf[s]), a: typeOf[s], b: typeOf[s] });
  for (const s of sizeNames) add(`${name}${s}i`, "rri", { ...put(typeOf[s]), a: typeOf[s] });
  for (const s of sizeNames) add(`${name}${s}f`, "rrr", { ...put(typeOf[s]), a: typeOf[s], b: typeOf[s], writesFlags: true });
  for (const s of sizeNames) add(`${name}${s}if`, "rri", { ...put(typeOf[s]), a: typeOf[s], writesFlags: true });
}
// Shift counts are masked to 5 bits (6 for 64-bit operands) by the operation.
for (const name of shifts) {
  for (const s of sizeNames) add(`${name}${s}`, "rrr", { ...put(typeOf[s]), a: typeOf[s], b: "i8" });
  for (const s of sizeNames) add(`${name}${s}i`, "rri", { ...put(typeOf[s]), a: typeOf[s] });
  for (const s of sizeNames) add(`${name}${s}f`, "rrr", { ...put(typeOf[s]), a: typeOf[s], b: "i8", writesFlags: true, keepsFlags: true, readsFlags: true });
  for (const s of sizeNames) add(`${name}${s}if`, "rri", { ...put(typeOf[s]), a: typeOf[s], writesFlags: true, keepsFlags: true, readsFlags: true });
}
for (const name of carry) {
  for (const s of sizeNames) add(`${name}${s}f`, "rrr", { ...put(typeOf[s]), a: typeOf[s], b: typeOf[s], writesFlags: true, readsFlags: true });
  for (const s of sizeNames) add(`${name}${s}if`, "rri", { ...put(typeOf[s]), a: typeOf[s], writesFlags: true, readsFlags: true });
}
for (const name of compare) {
  for (const s of sizeNames) add(`${name}${s}`, "rrr", { a: typeOf[s], b: typeOf[s], writesFlags: true });
  for (const s of sizeNames) add(`${name}${s}i`, "rri", { a: typeOf[s], writesFlags: true });
}
for (const s of sizeNames) add(`not${s}`, "rrr", { ...put(typeOf[s]), a: typeOf[s] });
for (const s of sizeNames) add(`neg${s}f`, "rrr", { ...put(typeOf[s]), a: typeOf[s], writesFlags: true });
for (const s of sizeNames) add(`inc${s}f`, "rrr", { ...put(typeOf[s]), a: typeOf[s], writesFlags: true, readsFlags: true });
for (const s of sizeNames) add(`dec${s}f`, "rrr", { ...put(typeOf[s]), a: typeOf[s], writesFlags: true, readsFlags: true });
// Rotates through carry and double shifts: d = f(a, b, count in the i8 at the fixed field TEMP 15).
for (const name of ["rcl", "rcr"] as const) {
  for (const s of sizeNames) add(`${name}${s}f`, "rrr", { ...put(typeOf[s]), a: typeOf[s], b: "i8", writesFlags: true, keepsFlags: true, readsFlags: true });
}
for (const name of ["shld", "shrd"] as const) {
  for (const s of sizeNames) add(`${name}${s}f`, "rrr", { ...update(typeOf[s]), a: typeOf[s], b: "i8", writesFlags: true, keepsFlags: true, readsFlags: true });
}
// Truncating products; CF = OF = the product did not fit. The 8-bit member is unused by x86 but keeps the family whole.
for (const s of sizeNames) add(`imul${s}`, "rrr", { ...put(typeOf[s]), a: typeOf[s], b: typeOf[s] });
for (const s of sizeNames) add(`imul${s}f`, "rrr", { ...put(typeOf[s]), a: typeOf[s], b: typeOf[s], writesFlags: true });
add("mulhu64", "rrr", { ...put("i64"), a: "i64", b: "i64" });
add("mulhs64", "rrr", { ...put("i64"), a: "i64", b: "i64" });
/** d = the quotient of d:a by b, truncated; leaves with #DE where it does not fit. */
for (const name of ["udiv", "sdiv"] as const) {
  for (const s of ["32", "64"] as const) add(`${name}${s}`, "pos", { ...update(typeOf[s]), a: typeOf[s], b: typeOf[s], leaves: true });
}
add("bswap32", "rrr", { ...put("i32"), a: "i32" });
add("bswap64", "rrr", { ...put("i64"), a: "i64" });
// Bit scans: ZF = source is zero, and then the destination keeps its value (as every x86-64 CPU does).
for (const name of ["bsf", "bsr"] as const) for (const s of sizeNames) add(`${name}${s}f`, "rrr", { ...update(typeOf[s]), a: typeOf[s], writesFlags: true });
for (const s of sizeNames) add(`popcnt${s}f`, "rrr", { ...put(typeOf[s]), a: typeOf[s], writesFlags: true });
/** ZF SF PF from a; CF = OF = bit 0 of b, AF = 0. */
for (const s of sizeNames) add(`setresult${s}`, "rrr", { a: typeOf[s], b: "i8", writesFlags: true });
/** CF = bit 0 of a; the other flags stay. */
add("setcarry", "rrr", { a: "i8", writesFlags: true, readsFlags: true });
/** d = the six arithmetic flags at their places in EFLAGS, all other bits zero. */
add("getflags", "rrr", { ...put("i64"), readsFlags: true });
/** The six arithmetic flags from a's bits at their places in EFLAGS. */
add("setflags", "rrr", { a: "i64", writesFlags: true });
// d = condition cc (x86's numbering) as 0 or 1. By what is known of the flags: anything, a SUB, a LOGIC.
const conditions = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15] as const;
for (const known of ["", "sub", "logic"] as const) for (const cc of conditions) add(`cond${known}${cc}`, "rrr", { ...put("i64"), readsFlags: true });
/** d = a ? b : d. select32 always clears d's upper half. */
for (const s of sizeNames) add(`select${s}`, "rrr", { ...update(typeOf[s]), a: "i8", b: typeOf[s] });

// Memory. ldm reads with the intent to write: it faults as a write would.
const loads = [
  ["ld8", "i8"], ["ld16", "i16"], ["ld32", "i32"], ["ld64", "i64"], ["ldm8", "i8"], ["ldm16", "i16"], ["ldm32", "i32"], ["ldm64", "i64"],
  ["ldw32", "w32"], ["ldv", "v128"], ["ldva", "v128"], ["ldz8_16", "i16"], ["ldz8_32", "i32"], ["ldz16_32", "i32"],
  ["lds8_16", "i16"], ["lds8_32", "i32"], ["lds8_64", "i64"], ["lds16_32", "i32"], ["lds16_64", "i64"], ["lds32_64", "i64"],
  ["ldz32_128", "v128"], ["ldz64_128", "v128"],
] as const;
for (const [name, type] of loads) {
  add(name, "mem", { ...put(type), a: "i64", leaves: true });
  add(`${name}x`, "mem", { ...put(type), a: "i64", b: "i64", leaves: true });
}
const stores = [["st8", "i8"], ["st16", "i16"], ["st32", "i32"], ["st64", "i64"], ["stv", "v128"], ["stva", "v128"]] as const;
for (const [name, type] of stores) {
  add(name, "mem", { d: type, dRead: true, a: "i64", leaves: true });
  add(`${name}x`, "mem", { d: type, dRead: true, a: "i64", b: "i64", leaves: true });
}
add("lea32", "mem", { ...put("i32"), a: "i64" });
add("lea32x", "mem", { ...put("i32"), a: "i64", b: "i64" });
add("lea64", "mem", { ...put("i64"), a: "i64" });
add("lea64x", "mem", { ...put("i64"), a: "i64", b: "i64" });
// base = the stack pointer field: [base - 8] = v, then base -= 8; and v = [base], base += 8, then v is written.
add("push64", "mem", { d: "i64", dRead: true, a: "i64", leaves: true });
add("pop64", "mem", { ...put("i64"), a: "i64", leaves: true });
/** Pushes v + disp: the return address of a call, v being RIP. */
add("pushpc", "mem", { d: "i64", dRead: true, a: "i64", leaves: true });
// Atomic read-modify-write: v = operand in, old value out. cmpxchg: v = expected in, old out; c = the new value.
const atomics = ["xchg", "xadd", "and", "or", "xor"] as const;
for (const name of atomics) for (const s of sizeNames) add(`atomic_${name}${s}`, "mem", { ...update(typeOf[s]), a: "i64", leaves: true });
for (const s of sizeNames) add(`atomic_cmpxchg${s}`, "mem2", { ...update(typeOf[s]), a: "i64", b: typeOf[s], leaves: true });

// Control. RIP is the block's start until the block ends.
add("jmp", "jump", { ends: true });
for (const known of ["", "sub", "logic"] as const) for (const cc of conditions) add(`jcc${known}${cc}`, "branch", { ends: true, readsFlags: true });
/** Jumps when the i8 at `a` (in the u16 after op) is not zero. */
add("jnz", "branch", { ends: true, a: "i8" });
/** Leaves with #GP where a is no canonical address: before a jump there changes anything. Of a call (imm 1) the push comes first. */
add("canonical", "pos", { a: "i64", leaves: true });
/** RIP = a. */
add("jmpi", "target", { ends: true, a: "i64" });
/** RIP += delta, then on by a full look-up: whatever the instruction changed (mode, mappings, events) is seen. */
add("sync", "jump", { ends: true });
// As jmp, unless EVENTS has something: for what may let an interrupt in.
add("poll", "jump", { ends: true });
/** RIP was written by a helper; on by a full look-up. */
add("dispatch", "rrr", { ends: true });
/** Sets Event.stop, so that what runs is left at the next boundary: the first operation of an instruction run alone. */
add("stop", "rrr", {});
/** Calls helper `id` with (vp, a, b, imm); a nonzero answer leaves at the instruction's start. */
add("call", "call", { leaves: true });

const integerOps = table.length;

export type IntegerOp =
  | `mov${Size}` | "movw32" | "movv" | "const8" | "const16" | "const64" | `code_${(typeof codeNumbers)[number]}` | "zx8_16" | "zx8_32" | "zx16_32"
  | `sx${"8_16" | "8_32" | "8_64" | "16_32" | "16_64" | "32_64"}`
  | `${(typeof binary)[number] | (typeof shifts)[number]}${Size}${"" | "i" | "f" | "if"}`
  | `${(typeof carry)[number]}${Size}${"f" | "if"}` | `${(typeof compare)[number]}${Size}${"" | "i"}`
  | `not${Size}` | `${"neg" | "inc" | "dec" | "rcl" | "rcr" | "shld" | "shrd" | "bsf" | "bsr" | "popcnt"}${Size}f`
  | `imul${Size}${"" | "f"}` | "mulhu64" | "mulhs64" | `${"udiv" | "sdiv"}${"32" | "64"}` | "bswap32" | "bswap64" | `setresult${Size}` | "setcarry" | "getflags" | "setflags"
  | `${"cond" | "jcc"}${"" | "sub" | "logic"}${(typeof conditions)[number]}` | `select${Size}`
  | `${(typeof loads)[number][0] | (typeof stores)[number][0] | "lea32" | "lea64"}${"" | "x"}`
  | "push64" | "pop64" | "pushpc" | `atomic_${(typeof atomics)[number] | "cmpxchg"}${Size}`
  | "jmp" | "jnz" | "canonical" | "jmpi" | "sync" | "poll" | "dispatch" | "stop" | "call";

// Vector and floating-point operations: see vector-ops.ts for what each means.
for (const [name, signature] of Object.entries<VectorSignature>(vectorOps)) {
  const [d, a, b] = signature.operands;
  const writes = d !== "" && !signature.readOnly;
  // With a second source an immediate has 32 bits: `rri` has no room for both.
  add(name, signature.traps || (signature.imm && b !== "") ? "pos" : signature.imm ? "rri" : "rrr", {
    d, dWritten: writes, dRead: signature.merges === true || signature.readOnly === true, a, b,
    writesFlags: signature.writesFlags === true, leaves: signature.traps === true,
  });
}

export type OpName = IntegerOp | VectorOp;
export const opRows: readonly OpRow[] = table;
/** Number of each operation: its row in `opRows`, and the first 16 bits of its encoding. */
export const Op = Object.fromEntries(table.map((row, n) => [row.name, n])) as Record<OpName, number>;
/** Operations below this number are the interpreter's inner loop; the others its outer one. */
export const innerOps = integerOps;

/** Words of each operation in which links lie. */
export const linksOf: readonly (readonly number[])[] = opRows.map(({ format }) =>
  format === "jump" ? [1] : format === "branch" ? [1, 4] : format === "target" ? [2] : [],
);
/** Words of an indirect jump before its deltas. */
export const targetsAt = 4;
export const formatUnits: Record<OpFormat, number> = { rrr: 1, rri: 2, mem: 2, mem2: 3, jump: 2, branch: 3, target: 2 + targetSlots / 2, call: 2, pos: 2 };
