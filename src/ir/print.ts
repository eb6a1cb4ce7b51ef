/**
 * The text form of IR: one line an operation, fields by their names in the vCPU record.
 *
 *   sub32f rax, rax, t0
 *   ld64 t1, [rbp + rcx*4 - 0x10]          @3
 *   jccsub4 +0x20 else +0x7
 *
 * The operation says how wide a field is taken; `ah` is the second byte of rax. `@` is the instruction's offset from its
 * block's start, where an operation may leave. Jumps count from the block's start too.
 */
import { at, vcpuFields } from "#vcpu";
import { helperRows } from "./helpers.ts";
import { formatUnits, type OpRow, opRows } from "./ops.ts";

const registerNames = [
  "rax",
  "rcx",
  "rdx",
  "rbx",
  "rsp",
  "rbp",
  "rsi",
  "rdi",
  "r8",
  "r9",
  "r10",
  "r11",
  "r12",
  "r13",
  "r14",
  "r15",
];
const highBytes = ["ah", "ch", "dh", "bh"];
const shortNames: Record<string, string> = { TEMP: "t", VTEMP: "v", XMM: "xmm", ZERO: "0" };

/** The name of a byte offset in the vCPU record. */
export function fieldName(offset: number): string {
  for (const field of vcpuFields) {
    const within = offset - field.offset;
    if (within < 0 || within >= field.stride * field.count) continue;
    const n = Math.floor(within / field.stride);
    const rest = within % field.stride;
    if (field.name === "GPR") {
      if (rest === 1 && n < 4) return highBytes[n] as string;
      return registerNames[n] + (rest === 0 ? "" : `:${rest}`);
    }
    const name = shortNames[field.name] ?? field.name.toLowerCase();
    const numbered = field.count === 1 ? name : name in registers ? `${name}${n}` : `${name}[${n}]`;
    return numbered + (rest === 0 ? "" : `:${rest}`);
  }
  return `?${offset}`;
}
/** Arrays whose members are named like registers. */
const registers: Record<string, true> = { t: true, v: true, xmm: true, cr: true, dr: true };

const hex = (n: number): string =>
  Math.abs(n) < 10 ? String(n) : n < 0 ? `-0x${(-n).toString(16)}` : `0x${n.toString(16)}`;
const delta = (n: number): string => (n < 0 ? hex(n) : `+${hex(n)}`);

function immediate(low: number, high: number): string {
  if (high === low >> 31) return hex(low);
  const value = BigInt.asUintN(64, (BigInt(high) << 32n) | BigInt(low >>> 0));
  return `0x${value.toString(16)}`;
}

function address(row: OpRow, base: number, index: number, scale: number, displacement: number): string {
  const parts = base === at.ZERO ? [] : [fieldName(base)];
  if (row.b !== "" && row.format === "mem") parts.push(fieldName(index) + (scale === 0 ? "" : `*${1 << scale}`));
  if (parts.length === 0) return `[${hex(displacement)}]`;
  const sum = parts.join(" + ");
  if (displacement === 0) return `[${sum}]`;
  return `[${sum} ${displacement < 0 ? "-" : "+"} ${hex(Math.abs(displacement))}]`;
}

/** One operation, of the words from `word` on. */
export function printOp(words: Int32Array, word: number): string {
  const head = words[word] as number;
  const second = words[word + 1] as number;
  const row = opRows[head & 0xffff];
  if (row === undefined) return `?${head & 0xffff}`;
  const d = head >>> 16;
  const a = second & 0xffff;
  const b = second >>> 16;
  const third = words[word + 2] as number;
  const fourth = words[word + 3] as number;
  const where = `@${fourth & 0x3fff}`;
  const fields = (): string[] => {
    const list: string[] = [];
    if (row.d !== "") list.push(fieldName(d));
    if (row.a !== "") list.push(fieldName(a));
    if (row.b !== "" && row.format !== "rri") list.push(fieldName(b));
    return list;
  };
  const line = (operands: readonly string[], end = ""): string => {
    const text = operands.length === 0 ? row.name : `${row.name} ${operands.join(", ")}`;
    return end === "" ? text : `${text.padEnd(40)} ${end}`;
  };
  switch (row.format) {
    case "rrr":
      return line(fields());
    case "rri":
      return line([...fields(), immediate(third, fourth)]);
    case "pos":
      return line([...fields(), hex(third)], where);
    case "mem":
    case "mem2": {
      const list = [fieldName(d), address(row, a, b, (fourth >> 14) & 3, third)];
      if (row.format === "mem2") list.push(fieldName((words[word + 4] as number) & 0xffff));
      return line(list, row.leaves ? where : "");
    }
    case "jump":
      return line([delta(third)]);
    case "target":
      return line([fieldName(a), ...(b === 0 ? [] : ["returns"])]);
    case "branch":
      return line([...(row.a === "" ? [] : [fieldName(d)]), `${delta(third)} else ${delta(fourth)}`]);
    case "call":
      return line([helperRows[d]?.name ?? `?${d}`, callArgument(a), callArgument(b), hex(third)], where);
  }
}

/** Mostly a field; some helpers take a number, which reads the same way. */
const callArgument = (n: number): string => (n === 0 ? "0/rax" : fieldName(n));

/** All operations of an encoding, one a line. */
export function print(words: Int32Array): string {
  const lines: string[] = [];
  for (let word = 0; word < words.length; ) {
    lines.push(printOp(words, word));
    const row = opRows[(words[word] as number) & 0xffff];
    if (row === undefined) break;
    word += formatUnits[row.format] * 2;
  }
  return lines.join("\n");
}
