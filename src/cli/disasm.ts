/** `memvisor disasm`: code as text, in AT&T syntax as objdump prints it. */
import { readFile } from "node:fs/promises";
import { type disasmCommand, exitStatus, type ValuesOf } from "#control";
import { DECODED, decode, disassemble, Instruction } from "#x86";
import { Failure } from "./failure.ts";
import { sendTo } from "./output.ts";

const linesAtOnce = 1000;

export async function disasm(code: string, values: ValuesOf<typeof disasmCommand>): Promise<number> {
  const bytes = await codeBytes(code);
  const codeSize = values.bits === "32" ? 32 : 64;
  const start = BigInt(values.address ?? 0);
  const end = Math.min(bytes.length, (values.offset ?? 0) + (values.length ?? bytes.length));
  const instruction = new Instruction();
  let lines: string[] = [];
  for (let at = values.offset ?? 0; at < end; ) {
    const address = start + BigInt(at);
    const decoded = decode(bytes, at, end, codeSize, instruction) === DECODED;
    const length = decoded ? instruction.length : 1;
    const text = decoded ? disassemble(instruction, address, bytes, at) : "(bad)";
    const digits = [...bytes.subarray(at, at + length)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    lines.push(`${address.toString(16).padStart(8)}:\t${digits.padEnd(30)}\t${text}\n`);
    at += length;
    if (lines.length < linesAtOnce) continue;
    await sendTo(process.stdout, lines.join(""));
    lines = [];
  }
  await sendTo(process.stdout, lines.join(""));
  return exitStatus.success;
}

async function codeBytes(code: string): Promise<Uint8Array> {
  const digits = code.replace(/\s/g, "");
  if (/^([0-9a-f]{2})+$/i.test(digits)) return Buffer.from(digits, "hex");
  try {
    return await readFile(code);
  } catch {
    throw new Failure(`"${code}" is neither a file that can be read nor pairs of hexadecimal digits`, exitStatus.usage);
  }
}
