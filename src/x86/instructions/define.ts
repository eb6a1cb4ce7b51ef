/**
 * How tables write their rows: `row("66 0F 38 10 /r", "pblendvb Vo Wo XMM0", ...)`.
 *
 * Code: `[NP|66|F2|F3] [0F [38|3A]] opcode[+r] [/digit | fixed ModRM byte | /r] [mem|reg] [W0|W1]`. NP, 66, F2 and F3
 * are mandatory prefixes; a code without one takes all prefixes in their usual meaning. `+r`: register in the opcode.
 * Further arguments override what is derived; what a whole file shares is given to `group`.
 */
import { AF, CF, OF, PF, SF, STATUS_FLAGS, ZF } from "../flags.ts";
import { OPERANDS, type OperandKind, type OperandPlace, type OperandShape } from "../operands.ts";
import type { InstructionRow, OpcodeMap, SizeRule } from "../row.ts";

/** A row before it has its number. */
export type RowSource = Omit<InstructionRow, "id">;
export type RowDetails = Partial<
  Pick<
    InstructionRow,
    | "lift"
    | "sizeRule"
    | "feature"
    | "absent"
    | "alignment"
    | "flagsRead"
    | "flagsWritten"
    | "flagsUndefined"
    | "flagsDepend"
    | "privileged"
    | "modes"
    | "lockable"
  >
>;

const modrmPlaces: ReadonlySet<OperandPlace> = new Set<OperandPlace>([
  "rm",
  "rm-register",
  "memory",
  "reg",
  "segment-reg",
  "control-reg",
  "debug-reg",
  "xmm-reg",
  "xmm-rm",
  "xmm-rm-register",
  "mmx-reg",
  "mmx-rm",
  "mmx-rm-register",
  "sti",
]);
const registerOnly: ReadonlySet<OperandPlace> = new Set<OperandPlace>([
  "rm-register",
  "xmm-rm-register",
  "mmx-rm-register",
  "sti",
]);

const shapeOf = (kind: OperandKind): OperandShape => OPERANDS[kind];

function deriveSizeRule(kinds: readonly OperandKind[]): SizeRule {
  // DX is always a port, and vector registers say nothing about general ones.
  const shapes = kinds
    .filter((kind) => kind !== "DX")
    .map(shapeOf)
    .filter((shape) => !/^(xmm|mmx|segment|st[0i])/.test(shape.place));
  if (kinds.includes("Jb") || kinds.includes("Jz")) return "f64";
  for (const rule of ["v", "z", "y", "a"] as const) if (shapes.some((s) => s.size === rule)) return rule;
  const first = shapes.find((s) => s.place !== "immediate" && s.place !== "one") ?? shapes[0];
  return first?.size === 1 ? "b" : first?.size === 2 ? "w" : first?.size === 8 ? "q" : "d";
}

function parseOperands(words: readonly string[], asm: string): OperandKind[] {
  return words.map((word) => {
    if (!(word in OPERANDS)) throw new Error(`no operand kind ${word} in "${asm}"`);
    return word as OperandKind;
  });
}

/** One row from its code and its Intel-order assembly, everything else derived unless `details` says it. */
export function row(code: string, asm: string, ...details: readonly RowDetails[]): RowSource {
  const [mnemonic = "", ...operandWords] = asm.split(/[ ,]+/);
  const operands = parseOperands(operandWords, asm);
  const words = code.split(" ");

  const named = { NP: 0, "66": 0x66, F2: 0xf2, F3: 0xf3 } as const;
  let prefix: InstructionRow["prefix"] = -1;
  let word = words.shift() ?? "";
  if (word in named) {
    prefix = named[word as keyof typeof named];
    word = words.shift() ?? "";
  }
  let map: OpcodeMap = 0;
  if (word === "0F") {
    word = words.shift() ?? "";
    map = word === "38" ? 2 : word === "3A" ? 3 : 1;
    if (map > 1) word = words.shift() ?? "";
  }
  const opcodeWord = word;
  const registerInOpcode = opcodeWord.endsWith("+r");

  let digit = -1;
  let fixedRm = -1;
  let form: InstructionRow["form"] = "any";
  let rexW: InstructionRow["rexW"] = -1;
  let modrm = operands.some((kind) => modrmPlaces.has(shapeOf(kind).place)) && !registerInOpcode;
  for (const part of words) {
    if (/^\/[0-7]$/.test(part)) digit = Number(part[1]);
    else if (part === "mem") form = "memory";
    else if (part === "reg") form = "register";
    else if (part === "W0" || part === "W1") rexW = part === "W1" ? 1 : 0;
    else if (/^[C-F][0-9A-F]$/.test(part)) {
      const byte = Number.parseInt(part, 16);
      digit = (byte >> 3) & 7;
      fixedRm = byte & 7;
      form = "register";
    } else if (part !== "/r") throw new Error(`cannot read "${part}" in code "${code}"`);
    if (part.startsWith("/") || fixedRm >= 0) modrm = true;
  }
  const places = operands.map((kind) => shapeOf(kind).place);
  const ignoresMod = places.includes("control-reg") || places.includes("debug-reg");
  if (places.includes("memory")) form = "memory";
  else if (places.some((place) => registerOnly.has(place)) && !ignoresMod) form = "register";

  const aligned = operands.some((kind) => kind === "Wo" || kind === "Mo") ? 16 : 1;
  return Object.assign(
    {
      map,
      opcode: Number.parseInt(opcodeWord, 16),
      registerInOpcode,
      prefix,
      rexW,
      hasModrm: modrm,
      digit,
      fixedRm,
      form,
      code,
      mnemonic,
      operands,
      lift: mnemonic,
      sizeRule: deriveSizeRule(operands),
      feature: "base",
      absent: false,
      alignment: aligned,
      flagsRead: 0,
      flagsWritten: 0,
      flagsUndefined: 0,
      flagsDepend: "" as const,
      privileged: false,
      modes: "both" as const,
      lockable: false,
    },
    ...details,
  );
}

/** Rows of one CPUID feature, but for those that name another. */
export const group = (feature: string, sources: readonly RowSource[]): RowSource[] =>
  sources.map((source) => (source.feature === "base" ? { ...source, feature } : source));

export const lockable: RowDetails = { lockable: true };
export const privileged: RowDetails = { privileged: true };
export const only64: RowDetails = { modes: "64" };
export const only32: RowDetails = { modes: "32" };
export const size = (sizeRule: SizeRule): RowDetails => ({ sizeRule });
export const lift = (key: string): RowDetails => ({ lift: key });
export const aligned = (alignment: number): RowDetails => ({ alignment });

/** Flag effects by name, as the manual groups them. */
export const reads = (flagsRead: number): RowDetails => ({ flagsRead });
export const writes = (flagsWritten: number, flagsUndefined = 0): RowDetails => ({ flagsWritten, flagsUndefined });
/** ADD and its like: all six. */
export const arithmetic = writes(STATUS_FLAGS);
/** AND and its like: OF and CF cleared, AF undefined. */
export const logic = writes(STATUS_FLAGS & ~AF, AF);
/** INC and DEC leave CF alone. */
export const counting = writes(STATUS_FLAGS & ~CF);
/** MUL and IMUL: CF and OF say whether the upper half matters. */
export const multiplying = writes(CF | OF, SF | ZF | AF | PF);

/** The sixteen conditions in opcode order, with the flags they read. */
export const CONDITIONS = [
  ["o", OF],
  ["no", OF],
  ["b", CF],
  ["ae", CF],
  ["e", ZF],
  ["ne", ZF],
  ["be", CF | ZF],
  ["a", CF | ZF],
  ["s", SF],
  ["ns", SF],
  ["p", PF],
  ["np", PF],
  ["l", SF | OF],
  ["ge", SF | OF],
  ["le", ZF | SF | OF],
  ["g", ZF | SF | OF],
] as const;

export const hex = (byte: number): string => byte.toString(16).toUpperCase().padStart(2, "0");
