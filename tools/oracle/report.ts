/** A failing case in words: the code, the state it starts from, and each thing that differs. */
import { decode, disassemble, Instruction } from "#x86";
import type { EndState, OracleCase } from "./case.ts";
import type { Difference } from "./compare.ts";
import { placesOf } from "./flags.ts";
import { printCase, printEnd } from "./text.ts";

/** One line for each instruction: address, bytes, assembly. */
export function listing(c: OracleCase): string[] {
  const instruction = new Instruction();
  return placesOf(c).map((p) => {
    decode(c.code, p.offset, c.code.length, c.mode, instruction);
    const text = disassemble(instruction, c.start.rip + BigInt(p.offset), c.code, p.offset);
    const bytes = Buffer.from(c.code.subarray(p.offset, p.offset + p.length)).toString("hex");
    const address = (c.start.rip + BigInt(p.offset)).toString(16);
    return `  ${address}  ${bytes.padEnd(24)} ${text}`;
  });
}

export function report(
  executor: string,
  c: OracleCase,
  expected: EndState,
  differences: readonly Difference[],
): string {
  const width = Math.max(...differences.map((d) => d.what.length));
  return [
    `${c.name}: ${executor} differs from the CPU (${c.mode}-bit code)`,
    ...listing(c),
    ...differences.flatMap((d) => [
      `  ${d.what.padEnd(width)}  expected ${d.expected}`,
      `  ${"".padEnd(width)}  actual   ${d.actual}`,
    ]),
    printCase(c).replace(/^/gm, "  | "),
    printEnd(c, expected).replace(/^/gm, "  | "),
  ].join("\n");
}
