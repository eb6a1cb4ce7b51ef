/**
 * Compares the decoder and the disassembler with GNU objdump over all code of ELF files.
 *
 *   node tools/sweep.ts [--coverage] [--show N] [--raw 64|32] FILE...
 *
 * objdump says where each instruction begins and how it reads; ours are decoded at the same places. Counted apart:
 * VEX, EVEX, XOP and 3DNow! forms (not in this machine), bytes that neither side takes for an instruction, and FWAIT, which
 * objdump joins to the instruction after it. Status 1 if a length, a mnemonic or an operand differs, or if a form is not
 * in the table. `--raw` takes files without structure, as code of that size; `--coverage` lists forms not seen.
 */
import { spawn } from "node:child_process";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { DECODED, decode, disassemble, Instruction, rows, TRUNCATED, UNDEFINED } from "#x86";

interface Section {
  readonly name: string;
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

interface Findings {
  instructions: number;
  wide: number;
  neither: number;
  joined: number;
  alone: number;
  /** How often each row was met, by id. */
  readonly seen: Uint32Array;
  /** Kind of disagreement, then what it says, with its count and the first places. */
  readonly differences: Map<string, Map<string, { count: number; example: string }>>;
}

const SHF_EXECINSTR = 4n;
const SHT_NOBITS = 8;

function readAt(file: number, position: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  const got = readSync(file, buffer, 0, length, position);
  return buffer.subarray(0, got);
}

/** The executable sections of a 64-bit little-endian ELF file, in order, and its code size. */
function* executableSections(path: string): Generator<Section> {
  const file = openSync(path, "r");
  try {
    const header = readAt(file, 0, 64);
    if (header.readUInt32BE(0) !== 0x7f454c46 || header[4] !== 2) throw new Error(`${path}: not a 64-bit ELF file`);
    const table = Number(header.readBigUInt64LE(0x28));
    const entry = header.readUInt16LE(0x3a);
    const count = header.readUInt16LE(0x3c);
    const headers = readAt(file, table, entry * count);
    const namesHeader = headers.subarray(entry * header.readUInt16LE(0x3e));
    const names = readAt(file, Number(namesHeader.readBigUInt64LE(0x18)), Number(namesHeader.readBigUInt64LE(0x20)));
    for (let n = 0; n < count; n++) {
      const at = headers.subarray(n * entry);
      if (!(at.readBigUInt64LE(8) & SHF_EXECINSTR) || at.readUInt32LE(4) === SHT_NOBITS) continue;
      const nameAt = at.readUInt32LE(0);
      yield {
        name: names.toString("latin1", nameAt, names.indexOf(0, nameAt)),
        address: at.readBigUInt64LE(0x10),
        bytes: readAt(file, Number(at.readBigUInt64LE(0x18)), Number(at.readBigUInt64LE(0x20))),
      };
    }
  } finally {
    closeSync(file);
  }
}

function* rawSection(path: string): Generator<Section> {
  const file = openSync(path, "r");
  yield { name: ".data", address: 0n, bytes: readAt(file, 0, fstatSync(file).size) };
  closeSync(file);
}

/** Lines of a command's output, without holding more than a chunk of it. */
async function* outputLines(command: string, args: readonly string[]): AsyncGenerator<string> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  let rest = "";
  for await (const chunk of child.stdout.setEncoding("latin1")) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  if (rest) yield rest;
}

/** One spelling for what both sides write: no symbols, no padding, targets with 0x. */
function normalize(text: string): string {
  return text
    .replace(/ <[^#]*>/g, "")
    .replace(/\s*#\s*(?:0x)?([0-9a-f]+).*$/, " # 0x$1")
    .replace(/\s+/g, " ")
    .replace(/ ([0-9a-f]+)$/, (all, target: string) => (/ # /.test(all) ? all : ` 0x${target}`))
    .trim();
}

/** Everything before the operands. */
const namePart = (text: string): string =>
  text
    .replace(/ # .*$/, "")
    .replace(/ (?:[-*%$(]|0x|[a-z]*:?0x|%?[a-z]s:)\S*$/, "")
    .trim();

const legacyPrefixes = new Set([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3]);

/** VEX, EVEX, XOP or 3DNow! behind the prefixes. */
function isWide(bytes: Uint8Array, start: number, mode: 64 | 32): boolean {
  let at = start;
  while (legacyPrefixes.has(bytes[at] ?? 0) || (mode === 64 && ((bytes[at] ?? 0) & 0xf0) === 0x40)) at++;
  const byte = bytes[at] ?? 0;
  const next = bytes[at + 1] ?? 0;
  if (byte === 0x0f && next === 0x0f) return true;
  if (byte === 0x8f) return (next & 0x1f) >= 8;
  return (byte === 0xc4 || byte === 0xc5 || byte === 0x62) && (mode === 64 || next >= 0xc0);
}

function note(findings: Findings, kind: string, what: string, example: string): void {
  const kindMap = findings.differences.get(kind) ?? new Map<string, { count: number; example: string }>();
  findings.differences.set(kind, kindMap);
  const entry = kindMap.get(what);
  if (entry) entry.count++;
  else kindMap.set(what, { count: 1, example });
}

/** Processors have these twins of other codes; objdump calls them bad. */
const undocumented = new Set([
  "DD /1",
  "DF /1",
  "DF /2",
  "DF /3",
  "D9 /3",
  "DC /2",
  "DC /3",
  "DE /2",
  "0F 0D",
  "0F 1A",
  "0F 1B",
  "D6",
]);

/** objdump names these hints after MPX, which is gone. */
const mpx = new Set(["0F 1A", "0F 1B"]);
/** A line of prefixes only: objdump lists a REX apart that another prefix follows. */
const prefixesAlone = /^(?:(?:rex(?:\.[WRXB]+)?|data16|data32|addr32|addr16|lock|repz|repnz|[cdefgs]s)\s*)+$/;

const instruction = new Instruction();

/** Compares one instruction of objdump's, `length` bytes at `offset`. */
function compare(section: Section, offset: number, length: number, text: string, mode: 64 | 32, found: Findings): void {
  const { bytes } = section;
  found.instructions++;
  if (isWide(bytes, offset, mode)) {
    found.wide++;
    return;
  }
  if (prefixesAlone.test(text)) {
    found.alone++;
    return;
  }
  const result = decode(bytes, offset, bytes.length, mode, instruction);
  if (instruction.row.mnemonic === "fwait" && length > instruction.length) {
    // A waiting form: FSTCW is FWAIT, FNSTCW.
    found.joined++;
    return;
  }
  const bad = text.includes("(bad)") || text.startsWith(".byte");
  if (bad) {
    // A symbol within the instruction makes objdump stop there.
    const cut = instruction.length > length;
    if (result === DECODED && !cut && !undocumented.has(instruction.row.code)) {
      const code = Buffer.from(bytes.subarray(offset, offset + instruction.length)).toString("hex");
      note(found, "objdump knows none", `${instruction.row.code} ${instruction.row.mnemonic}`, code);
    } else found.neither++;
    return;
  }
  const raw = Buffer.from(bytes.subarray(offset, offset + length)).toString("hex");
  const where = `${section.name} ${(section.address + BigInt(offset)).toString(16)}: ${raw}  ${text}`;
  if (instruction.row.id === 0) {
    if (result === UNDEFINED) note(found, "not in the table", namePart(normalize(text)), where);
    else if (result !== TRUNCATED) note(found, "length", `too long: ${namePart(normalize(text))}`, where);
    return;
  }
  found.seen[instruction.row.id]++;
  const ours = normalize(disassemble(instruction, section.address + BigInt(offset), bytes, offset));
  const theirs = normalize(text);
  if (instruction.length !== length) {
    note(found, "length", `${namePart(ours)} ${instruction.length}, objdump ${namePart(theirs)} ${length}`, where);
  } else if (ours === theirs || mpx.has(instruction.row.code)) return;
  else if (namePart(ours) !== namePart(theirs)) {
    note(found, "mnemonic", `${namePart(ours)}, objdump ${namePart(theirs)}`, `${where}  ours ${ours}`);
  } else note(found, "operands", `${instruction.row.code} ${instruction.row.mnemonic}`, `${where}  ours ${ours}`);
}

async function sweep(path: string, raw: 64 | 32 | undefined, found: Findings): Promise<void> {
  const sections = raw ? rawSection(path) : executableSections(path);
  const format = raw ? ["-D", "-b", "binary", "-m", raw === 64 ? "i386:x86-64" : "i386"] : ["-d"];
  const mode = raw ?? 64;
  let section: Section | undefined;
  let offset = -1;
  let text = "";
  const finish = (end: number): void => {
    if (section && offset >= 0 && text) compare(section, offset, end - offset, text, mode, found);
    offset = -1;
  };
  for await (const line of outputLines("objdump", [
    ...format,
    "-z",
    "-w",
    "--no-show-raw-insn",
    "-M",
    raw === 32 ? "i386" : "intel64",
    path,
  ])) {
    if (line.startsWith("Disassembly of section ")) {
      if (section) finish(section.bytes.length);
      const name = line.slice("Disassembly of section ".length, -1);
      do section = sections.next().value as Section | undefined;
      while (section && section.name !== name);
      continue;
    }
    const colon = line.indexOf(":\t");
    if (colon < 0 || !section) continue;
    const at = Number(BigInt(`0x${line.slice(0, colon).trim()}`) - section.address);
    finish(at);
    offset = at;
    text = line.slice(colon + 2);
  }
  if (section) finish(section.bytes.length);
}

function report(path: string, found: Findings, show: number, coverage: boolean): boolean {
  const forms = found.seen.reduce((sum, count) => sum + (count > 0 ? 1 : 0), 0);
  console.log(
    `${path}: ${found.instructions} instructions, ${forms} of ${rows.length - 1} forms; ` +
      `${found.wide} VEX/EVEX/XOP/3DNow!, ${found.joined} joined FWAIT, ${found.alone} prefixes alone, ${found.neither} bad on both sides`,
  );
  for (const [kind, entries] of found.differences) {
    const total = [...entries.values()].reduce((sum, entry) => sum + entry.count, 0);
    console.log(`  ${kind}: ${total} in ${entries.size} kinds`);
    const sorted = [...entries].sort(([, a], [, b]) => b.count - a.count);
    for (const [what, { count, example }] of sorted.slice(0, show))
      console.log(`    ${count} x ${what}\n        ${example}`);
  }
  if (coverage) {
    const unseen = rows.filter((row) => row.id > 0 && !row.absent && !found.seen[row.id]);
    console.log(`  not seen: ${unseen.map((row) => `${row.mnemonic} (${row.code})`).join(", ")}`);
  }
  return found.differences.size === 0;
}

const args = process.argv.slice(2);
const option = (name: string): string | undefined => {
  const at = args.indexOf(name);
  return at < 0 ? undefined : args.splice(at, 2)[1];
};
const rawOption = option("--raw");
const raw = rawOption === "64" ? 64 : rawOption === "32" ? 32 : undefined;
const show = Number(option("--show") ?? 12);
const coverageAt = args.indexOf("--coverage");
if (coverageAt >= 0) args.splice(coverageAt, 1);
if (args.length === 0) {
  console.error("usage: sweep [--coverage] [--show N] [--raw 64|32] FILE...");
  process.exitCode = 2;
}
for (const path of args) {
  const found: Findings = {
    instructions: 0,
    wide: 0,
    neither: 0,
    joined: 0,
    alone: 0,
    seen: new Uint32Array(rows.length),
    differences: new Map(),
  };
  await sweep(path, raw, found);
  if (found.instructions === 0) console.log(`${path}: no code found`);
  if (!report(path, found, show, coverageAt >= 0) || found.instructions === 0) process.exitCode = 1;
}
