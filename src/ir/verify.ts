/**
 * What must be true of every piece of IR, whoever wrote it: lifting rules and optimisation passes both answer to it.
 *
 * - Operations, helpers and fields exist; fields lie in the record and are aligned as their type asks.
 * - The last operation ends the block, and no other does.
 * - The law of ops.ts: within an instruction nothing architectural is written before an operation that may leave. A store
 *   to what the instruction loaded with the intent to write (ldm) does not leave.
 */
import { at, vcpuRecordBytes } from "#vcpu";
import type { IrBuilder } from "./builder.ts";
import { helperRows } from "./helpers.ts";
import { type FieldType, formatUnits, type OperandType, type OpRow, opRows } from "./ops.ts";
import { fieldName, printOp } from "./print.ts";

const sizes: Record<FieldType, number> = { i8: 1, i16: 2, i32: 4, i64: 8, w32: 4, v128: 16 };

/** Fields that mean nothing to the guest, so that they may change in an instruction that then leaves. */
const scratch: readonly (readonly [start: number, end: number])[] = [
  [at.TEMP, at.TEMP + 16 * 8],
  [at.VTEMP, at.VTEMP + 8 * 16],
  [at.FP_SCRATCH, at.FP_SCRATCH + 4 * 8],
];
const architectural = (field: number): boolean => !scratch.some(([start, end]) => field >= start && field < end);

/** A place in memory that this instruction may write without leaving. */
interface Prepared {
  readonly size: string;
  readonly base: number;
  readonly index: number;
  readonly where: number;
  readonly displacement: number;
}

/** Operations that move the stack pointer, which is their base. */
const movesBase: ReadonlySet<string> = new Set(["push64", "pop64", "pushpc"]);

/**
 * The problems of what is in the builder, each with its operation; none where all is well.
 * `instructionStarts`: indices of the operations that instructions begin with. Without it, writes before the first
 * operation of an instruction that may leave are not judged, as the encoding does not say where instructions begin.
 */
export function verify(ir: IrBuilder, instructionStarts?: ReadonlySet<number>): string[] {
  const problems: string[] = [];
  const words = ir.words();
  let written = "";
  let instruction = -1;
  let prepared: Prepared[] = [];

  let expected = 0;
  for (let n = 0; n < ir.opCount; n++) {
    const start = ir.starts[n] as number;
    const word = start >> 2;
    const head = words[word] as number;
    const row = opRows[head & 0xffff];
    const bad = (what: string): void => void problems.push(`${n}: ${printOp(words, word)}: ${what}`);
    if (row === undefined || start !== expected) {
      problems.push(`${n}: no operation begins at byte ${start}`);
      break;
    }
    expected = start + formatUnits[row.format] * 8;
    const d = head >>> 16;
    const second = words[word + 1] as number;
    const a = second & 0xffff;
    const b = second >>> 16;

    if (row.ends !== (n === ir.opCount - 1))
      bad(row.ends ? "ends the block before its last operation" : "does not end the block");
    checkFields(row, d, a, b, words, word, bad);

    if (instructionStarts?.has(n)) {
      written = "";
      prepared = [];
    }
    if (row.leaves) {
      const fourth = words[word + 3] as number;
      const key = (fourth & 0x3fff) | (fourth & 0x7fff0000);
      if (key !== instruction) {
        instruction = key;
        if (instructionStarts === undefined) written = "";
        prepared = [];
      }
      if (written !== "" && !isPrepared(prepared, row, a, b, words, word))
        bad(`may leave after ${written} was written`);
      const modify = /^ldm(\d+)x?$/.exec(row.name);
      if (modify !== null) {
        prepared.push({
          size: modify[1] as string,
          base: a,
          index: row.b === "" ? -1 : b,
          where: fourth,
          displacement: words[word + 2] as number,
        });
      }
    }
    if (row.format === "call") {
      if (/[gfx]/.test(helperRows[d]?.touches ?? "")) written = `state by ${helperRows[d]?.name}`;
    } else if (row.dWritten) {
      if (architectural(d)) written = fieldName(d);
      prepared = prepared.filter((p) => !overlaps(p.base, d, row.d) && !overlaps(p.index, d, row.d));
    }
    if (movesBase.has(row.name)) {
      if (architectural(a)) written = fieldName(a);
      prepared = prepared.filter((p) => p.base !== a && p.index !== a);
    }
    if (row.writesFlags) written = "flags";
  }
  if (ir.opCount === 0) problems.push("no operation at all");
  else if (expected !== ir.length) problems.push(`${ir.length} bytes are encoded, ${expected} are operations`);
  return problems;
}

function checkFields(
  row: OpRow,
  d: number,
  a: number,
  b: number,
  words: Int32Array,
  word: number,
  bad: (what: string) => void,
): void {
  const check = (field: number, type: OperandType): void => {
    if (type === "") return;
    const size = sizes[type];
    if (field + size > vcpuRecordBytes) bad(`field ${field} is outside the record`);
    else if (field % size !== 0) bad(`${fieldName(field)} is no ${type}`);
    else if (row.dWritten && field === d && type === row.d && field >= at.ZERO && field < at.ZERO + 8)
      bad("writes ZERO");
  };
  switch (row.format) {
    case "call":
      if (d >= helperRows.length) bad(`no helper ${d}`);
      return;
    case "jump":
      return;
    case "target":
      check(a, row.a);
      return;
    case "branch":
      check(d, row.a);
      return;
    case "mem2":
      check((words[word + 4] as number) & 0xffff, row.b);
      check(d, row.d);
      check(a, row.a);
      return;
    default:
      check(d, row.d);
      check(a, row.a);
      if (row.format !== "rri") check(b, row.b);
  }
}

function isPrepared(
  prepared: readonly Prepared[],
  row: OpRow,
  a: number,
  b: number,
  words: Int32Array,
  word: number,
): boolean {
  const store = /^st(\d+)x?$/.exec(row.name);
  if (store === null) return false;
  const index = row.b === "" ? -1 : b;
  return prepared.some(
    (p) =>
      p.size === store[1] &&
      p.base === a &&
      p.index === index &&
      p.displacement === words[word + 2] &&
      p.where === words[word + 3],
  );
}

function overlaps(field: number, d: number, type: OperandType): boolean {
  return field >= 0 && type !== "" && d < field + 8 && field < d + Math.max(8, sizes[type]);
}
