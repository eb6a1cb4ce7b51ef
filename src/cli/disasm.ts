/** `memvisor disasm`: machine code as text, with the guest's own decoder. */
import { existsSync, readFileSync } from "node:fs";
import { type disasmCommand, exitStatus } from "#control";
import { DECODED, decode, disassemble, Instruction } from "#x86";
import { Failure } from "./failure.ts";
import type { Action } from "./program.ts";

interface Code {
  readonly bytes: Uint8Array;
  readonly address: bigint;
}

export const disassembleCode: Action<typeof disasmCommand> = async (argument, values) => {
  const source = argument as string;
  const start = values.address === undefined ? undefined : parseNumber(values.address, "--address");
  const length = values.length === undefined ? undefined : Number(parseNumber(values.length, "--length"));
  const code = existsSync(source) ? codeOfElf(source, start) : codeOfDigits(source, start ?? 0n);
  const bytes = code.bytes.subarray(0, length);
  const instruction = new Instruction();
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const known = decode(bytes, at, bytes.length, values.bits === "32" ? 32 : 64, instruction) === DECODED;
    const size = known ? instruction.length : 1;
    const address = code.address + BigInt(at);
    const hex = Array.from(bytes.subarray(at, at + size), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
    lines.push(
      `${address.toString(16).padStart(8)}:  ${hex.padEnd(30)} ${known ? disassemble(instruction, address, bytes, at) : "(bad)"}`,
    );
    at += size;
  }
  process.stdout.write(`${lines.join("\n")}\n`);
  return exitStatus.success;
};

function parseNumber(text: string, option: string): bigint {
  if (!/^(0x[0-9a-f]+|\d+)$/i.test(text))
    throw new Failure(`${option}: "${text}" is no number: write it as 4096 or 0x1000`, exitStatus.usage);
  return BigInt(text);
}

function codeOfDigits(text: string, address: bigint): Code {
  const digits = text.replace(/\s/g, "");
  if (!/^([0-9a-f]{2})+$/i.test(digits)) {
    throw new Failure(`"${text}" is neither a file nor pairs of hexadecimal digits`, exitStatus.usage);
  }
  return { bytes: Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)), address };
}

/** The executable segment of an ELF64 file around `start`, or the first one. */
function codeOfElf(path: string, start: bigint | undefined): Code {
  const file = readFileSync(path);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < 64 || view.getUint32(0) !== 0x7f454c46 || file[4] !== 2)
    throw new Failure(`${path} is no 64-bit ELF file`, exitStatus.usage);
  const table = Number(view.getBigUint64(32, true));
  const size = view.getUint16(54, true);
  const executable = 1;
  for (let n = 0; n < view.getUint16(56, true); n++) {
    const at = table + n * size;
    if (at + 56 > file.length) break;
    if (view.getUint32(at, true) !== 1 || (view.getUint32(at + 4, true) & executable) === 0) continue;
    const offset = Number(view.getBigUint64(at + 8, true));
    const address = view.getBigUint64(at + 16, true);
    const bytes = file.subarray(offset, offset + Number(view.getBigUint64(at + 32, true)));
    if (start === undefined) return { bytes, address };
    if (start >= address && start < address + BigInt(bytes.length))
      return { bytes: bytes.subarray(Number(start - address)), address: start };
  }
  throw new Failure(
    start === undefined ? `${path} has no code` : `${path} has no code at 0x${start.toString(16)}`,
    exitStatus.usage,
  );
}
