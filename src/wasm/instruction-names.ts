/** What each opcode is called in the specification's text format, and what stands behind it in the binary. */
import { A, V, W } from "./opcodes.ts";

export type Immediates =
  | "none"
  /** A block's type. */
  | "block"
  /** Depth of a label. */
  | "label"
  | "labels"
  | "index"
  | "function"
  | "typeAndTable"
  /** log2 of the alignment, then the offset. */
  | "memory"
  | "memoryAndLane"
  | "lane"
  | "sixteenBytes"
  | "i32"
  | "i64"
  | "f32"
  | "f64";

export interface NamedInstruction {
  readonly name: string;
  readonly immediates: Immediates;
}

const prefixes = /^(i8x16|i16x8|i32x4|i64x2|f32x4|f64x2|v128|i32|i64|f32|f64|local|global|memory)_/;
const specificationName = (name: string): string => name.replace(prefixes, "$1.");

function plainImmediates(name: string, opcode: number): Immediates {
  if (name === "block" || name === "loop" || name === "if") return "block";
  if (name === "br" || name === "br_if") return "label";
  if (name === "br_table") return "labels";
  if (name.endsWith("call_indirect")) return "typeAndTable";
  if (name === "call" || name === "return_call") return "function";
  if (/^(local|global)_/.test(name)) return "index";
  if (opcode >= W.i32_load && opcode <= W.i64_store32) return "memory";
  return (/^(i32|i64|f32|f64)_const$/.exec(name)?.[1] as Immediates | undefined) ?? "none";
}

function vectorImmediates(name: string): Immediates {
  if (/_(load|store)\d+_lane$/.test(name)) return "memoryAndLane";
  if (/^v128_(load|store)/.test(name)) return "memory";
  if (name === "v128_const" || name === "i8x16_shuffle") return "sixteenBytes";
  return /_(extract|replace)_lane/.test(name) ? "lane" : "none";
}

type Named = ReadonlyMap<number, NamedInstruction>;

function named(table: Record<string, number>, make: (name: string, opcode: number) => NamedInstruction): Named {
  return new Map(Object.entries(table).map(([name, opcode]) => [opcode, make(name, opcode)]));
}

export const plainInstructions: Named = named(W, (name, opcode) => ({
  name: specificationName(name),
  immediates: plainImmediates(name, opcode),
}));

/** Behind the prefix 0xfd. */
export const vectorInstructions: Named = named(V, (name) => ({
  name: specificationName(name),
  immediates: vectorImmediates(name),
}));

/** Behind the prefix 0xfe. */
export const atomicInstructions: Named = named(A, (name) => ({
  name: specificationName(name)
    .replace(".", ".atomic.")
    .replace(/(rmw\d*)_/, "$1."),
  immediates: "memory",
}));
