/** Two machines side by side: what is about to run, and then where they differ. */

import { gpa } from "#address";
import { lookUp, printRegisters } from "#introspect";
import { Mode } from "#vcpu";
import type { MachineParts } from "#vm";
import { DECODED, decode, disassemble, Instruction } from "#x86";
import type { Interval, Pair } from "./pair.ts";

const shownInstructions = 24;
const shownPages = 8;
const shownBytes = 16;

/** Requires: the pair stands at the interval's start. It is run to its end. */
export function printDifference(pair: Pair, { from, to }: Interval, nameA: string, nameB: string): string {
  const lines = [`after ${from} instructions they agree; then runs:`, ...codeAt(pair.a.parts, Number(to - from))];
  pair.advance(to);
  lines.push(`after ${to} instructions they differ (${nameA} left, ${nameB} right):`);
  lines.push(...registerLines(pair.a.parts, pair.b.parts), ...memoryLines(pair.a.parts, pair.b.parts));
  if (Buffer.compare(pair.a.parts.devices, pair.b.parts.devices) !== 0) lines.push("devices differ");
  return lines.join("\n");
}

/** Code from RIP on, straight ahead. */
function codeAt(parts: MachineParts, count: number): string[] {
  const { vcpu, memory } = parts;
  const instruction = new Instruction();
  const mode = vcpu.u32("MODE");
  const bits = (mode & Mode.code32) !== 0 ? 32 : (mode & Mode.code16) !== 0 ? 16 : 64;
  const paging = (vcpu.u64("CR0") & 0x8000_0000n) !== 0n;
  const lines: string[] = [];
  let rip = vcpu.u64("RIP");
  for (let n = 0; n < Math.min(count, shownInstructions); n++) {
    const code = new Uint8Array(15);
    for (let at = 0; at < code.length; at++) {
      const address = BigInt.asUintN(64, rip + BigInt(at));
      const physical = paging ? lookUp(memory, vcpu.u64("CR3"), address)?.gpa : address;
      if (physical === undefined || !memory.read(gpa(Number(physical)), code.subarray(at, at + 1))) break;
    }
    const text =
      decode(code, 0, code.length, bits, instruction) === DECODED ? disassemble(instruction, rip, code) : "(bad)";
    lines.push(`  ${rip.toString(16)}:  ${text}`);
    rip = BigInt.asUintN(64, rip + BigInt(Math.max(1, instruction.length)));
  }
  return lines;
}

function registerLines(a: MachineParts, b: MachineParts): string[] {
  const left = printRegisters(a, { vectors: true, x87: true }).split("\n");
  const right = printRegisters(b, { vectors: true, x87: true }).split("\n");
  return left.flatMap((line, n) => (line === right[n] ? [] : [`  < ${line}`, `  > ${right[n]}`]));
}

function memoryLines(a: MachineParts, b: MachineParts): string[] {
  const pages = new Map<number, Uint8Array>();
  a.memory.forEachPresent((gfn, bytes) => pages.set(gfn, bytes));
  const lines: string[] = [];
  let differing = 0;
  const compare = (gfn: number, left: Uint8Array | undefined, right: Uint8Array | undefined): void => {
    const at = firstDifference(left, right);
    if (at < 0 || ++differing > shownPages) return;
    const show = (bytes: Uint8Array | undefined): string =>
      Array.from({ length: shownBytes }, (_, n) => (bytes?.[at + n] ?? 0).toString(16).padStart(2, "0")).join(" ");
    const where = (gfn * 4096 + at).toString(16).padStart(10, "0");
    lines.push(`  physical ${where}  ${show(left)} | ${show(right)}`);
  };
  b.memory.forEachPresent((gfn, bytes) => {
    compare(gfn, pages.get(gfn), bytes);
    pages.delete(gfn);
  });
  for (const [gfn, bytes] of pages) compare(gfn, bytes, undefined);
  return differing === 0 ? [] : [`  ${differing} pages differ`, ...lines];
}

/** A page that is absent reads as zeros. */
function firstDifference(a: Uint8Array | undefined, b: Uint8Array | undefined): number {
  for (let n = 0; n < 4096; n++) if ((a?.[n] ?? 0) !== (b?.[n] ?? 0)) return n;
  return -1;
}
