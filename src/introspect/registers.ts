/**
 * The registers of a vCPU as text.
 *
 *     RAX 0000000000000001  RBX ...
 *     RIP ffffffff81000071  RFLAGS 0000000000000246 [IF ZF PF]  CPL 0
 *     CS  0010 base 0000000000000000 limit ffffffff flags a09b [code64 dpl0 p a]
 */

import type { FieldName, Vcpu } from "#vcpu";
import type { MachineParts } from "#vm";
import {
  CR0_AM,
  CR0_CD,
  CR0_EM,
  CR0_ET,
  CR0_MP,
  CR0_NE,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR0_TS,
  CR0_WP,
  CR4_DE,
  CR4_FSGSBASE,
  CR4_LA57,
  CR4_MCE,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_OSXSAVE,
  CR4_PAE,
  CR4_PCE,
  CR4_PCIDE,
  CR4_PGE,
  CR4_PSE,
  CR4_PVI,
  CR4_SMAP,
  CR4_SMEP,
  CR4_TSD,
  CR4_UMIP,
  CR4_VME,
  EFER_FFXSR,
  EFER_LMA,
  EFER_LME,
  EFER_NXE,
  EFER_SCE,
  EFER_SVME,
  EFER_TCE,
  GPR64,
  printFlags,
  SEGMENTS,
} from "#x86";

export interface RegisterOptions {
  /** XMM registers and MXCSR. */
  readonly vectors?: boolean;
  /** The x87 stack and its control words. */
  readonly x87?: boolean;
}

type Bits = readonly (readonly [name: string, bit: number])[];

const cr0Bits: Bits = [
  ["PG", CR0_PG],
  ["CD", CR0_CD],
  ["NW", CR0_NW],
  ["AM", CR0_AM],
  ["WP", CR0_WP],
  ["NE", CR0_NE],
  ["ET", CR0_ET],
  ["TS", CR0_TS],
  ["EM", CR0_EM],
  ["MP", CR0_MP],
  ["PE", CR0_PE],
];
const cr4Bits: Bits = [
  ["SMAP", CR4_SMAP],
  ["SMEP", CR4_SMEP],
  ["OSXSAVE", CR4_OSXSAVE],
  ["PCIDE", CR4_PCIDE],
  ["FSGSBASE", CR4_FSGSBASE],
  ["LA57", CR4_LA57],
  ["UMIP", CR4_UMIP],
  ["OSXMMEXCPT", CR4_OSXMMEXCPT],
  ["OSFXSR", CR4_OSFXSR],
  ["PCE", CR4_PCE],
  ["PGE", CR4_PGE],
  ["MCE", CR4_MCE],
  ["PAE", CR4_PAE],
  ["PSE", CR4_PSE],
  ["DE", CR4_DE],
  ["TSD", CR4_TSD],
  ["PVI", CR4_PVI],
  ["VME", CR4_VME],
];
const eferBits: Bits = [
  ["TCE", EFER_TCE],
  ["FFXSR", EFER_FFXSR],
  ["SVME", EFER_SVME],
  ["NXE", EFER_NXE],
  ["LMA", EFER_LMA],
  ["LME", EFER_LME],
  ["SCE", EFER_SCE],
];
const modelSpecific: readonly FieldName[] = [
  "STAR",
  "LSTAR",
  "CSTAR",
  "SFMASK",
  "KERNEL_GS_BASE",
  "SYSENTER_CS",
  "SYSENTER_ESP",
  "SYSENTER_EIP",
  "TSC_AUX",
  "TSC_OFFSET",
  "PAT",
  "XCR0",
];

const hex16 = (value: bigint): string => BigInt.asUintN(64, value).toString(16).padStart(16, "0");
const hex = (value: number, digits: number): string => (value >>> 0).toString(16).padStart(digits, "0");
const names = (value: number, bits: Bits): string =>
  `[${bits
    .filter(([, bit]) => (value & bit) !== 0)
    .map(([name]) => name)
    .join(" ")}]`;

export function printRegisters(
  { vcpu, engine }: Pick<MachineParts, "vcpu" | "engine">,
  options: RegisterOptions = {},
): string {
  const lines = [
    ...generalLines(vcpu),
    stateLine(vcpu, engine.runtime.flags(vcpu.vp) | Number(vcpu.u64("EFLAGS"))),
    ...segmentLines(vcpu),
    ...controlLines(vcpu),
    ...pairs(modelSpecific.map((name) => [name, vcpu.u64(name)])),
  ];
  if (options.vectors) lines.push(...vectorLines(vcpu));
  if (options.x87) lines.push(...x87Lines(vcpu));
  return lines.join("\n");
}

function generalLines(vcpu: Vcpu): string[] {
  const order = [0, 3, 1, 2, 6, 7, 5, 4, 8, 9, 10, 11, 12, 13, 14, 15];
  return pairs(
    order.map((n) => [(GPR64[n] as string).toUpperCase(), vcpu.register(n)]),
    4,
  );
}

function stateLine(vcpu: Vcpu, flags: number): string {
  const state = [
    `RIP ${hex16(vcpu.u64("RIP"))}`,
    `RFLAGS ${hex16(BigInt(flags >>> 0))} [${printFlags(flags)}]`,
    `CPL ${vcpu.u32("CPL")}`,
  ];
  if (vcpu.u32("HALTED") !== 0) state.push("halted");
  if (vcpu.u32("INHIBIT") !== 0) state.push("interrupts held back");
  return `${state.join("  ")}  retired ${vcpu.u64("ICOUNT")}`;
}

function segmentLines(vcpu: Vcpu): string[] {
  const line = (name: string, selector: number, base: bigint, limit: number, flags: number): string =>
    `${name.toUpperCase().padEnd(4)} ${hex(selector, 4)} base ${hex16(base)} limit ${hex(limit, 8)} flags ${hex(flags & 0xffff, 4)} [${rights(flags)}]`;
  const lines = SEGMENTS.map((name, n) =>
    line(
      name,
      vcpu.u32("SEG_SELECTOR", n),
      vcpu.u64("SEG_BASE", n),
      vcpu.u32("SEG_LIMIT", n),
      vcpu.u32("SEG_FLAGS", n),
    ),
  );
  lines.push(
    line("ldtr", vcpu.u32("LDTR_SELECTOR"), vcpu.u64("LDTR_BASE"), vcpu.u32("LDTR_LIMIT"), vcpu.u32("LDTR_FLAGS")),
  );
  lines.push(line("tr", vcpu.u32("TR_SELECTOR"), vcpu.u64("TR_BASE"), vcpu.u32("TR_LIMIT"), vcpu.u32("TR_FLAGS")));
  lines.push(`GDTR      base ${hex16(vcpu.u64("GDTR_BASE"))} limit ${hex(vcpu.u32("GDTR_LIMIT"), 8)}`);
  lines.push(`IDTR      base ${hex16(vcpu.u64("IDTR_BASE"))} limit ${hex(vcpu.u32("IDTR_LIMIT"), 8)}`);
  return lines;
}

/** The access rights of a segment in words (SDM 3A, "Segment Descriptors"). */
function rights(flags: number): string {
  if ((flags & 0x10000) !== 0) return "unusable";
  const words: string[] = [];
  const type = flags & 15;
  if ((flags & 0x10) === 0) words.push({ 2: "ldt", 9: "tss", 11: "tss busy" }[type] ?? `system ${type}`);
  else if ((type & 8) !== 0) {
    words.push((flags & 0x2000) !== 0 ? "code64" : (flags & 0x4000) !== 0 ? "code32" : "code16");
    if ((type & 4) !== 0) words.push("conforming");
    if ((type & 2) !== 0) words.push("readable");
  } else {
    words.push("data", (type & 2) !== 0 ? "rw" : "ro");
    if ((type & 4) !== 0) words.push("down");
  }
  words.push(`dpl${(flags >> 5) & 3}`);
  if ((flags & 0x80) === 0) words.push("absent");
  return words.join(" ");
}

function controlLines(vcpu: Vcpu): string[] {
  const named = (name: "CR0" | "CR4" | "EFER", bits: Bits): string =>
    `${name.padEnd(4)} ${hex16(vcpu.u64(name))} ${names(Number(BigInt.asIntN(32, vcpu.u64(name))), bits)}`;
  const debug = [0, 1, 2, 3, 6, 7].map((n): [string, bigint] => [`DR${n}`, vcpu.u64("DR", n)]);
  return [
    named("CR0", cr0Bits),
    ...pairs([
      ["CR2", vcpu.u64("CR2")],
      ["CR3", vcpu.u64("CR3")],
      ["CR8", vcpu.u64("CR8")],
    ]),
    named("CR4", cr4Bits),
    named("EFER", eferBits),
    ...pairs(debug),
  ];
}

function vectorLines(vcpu: Vcpu): string[] {
  const bytes = vcpu.bytes("XMM");
  const lines = [`MXCSR ${hex(vcpu.u32("MXCSR"), 8)}`];
  for (let n = 0; n < 16; n++)
    lines.push(`XMM${String(n).padEnd(2)} ${backwards(bytes.subarray(16 * n, 16 * n + 16))}`);
  return lines;
}

function x87Lines(vcpu: Vcpu): string[] {
  const word = (name: FieldName): number => {
    const bytes = vcpu.bytes(name);
    return (bytes[0] as number) | ((bytes[1] as number) << 8);
  };
  const top = vcpu.u32("FTOP") >> 4;
  const status = word("FSW") | (top << 11);
  const registers = vcpu.bytes("FPR");
  const lines = [`FCW ${hex(word("FCW"), 4)}  FSW ${hex(status, 4)}  FTW ${hex(word("FTW"), 4)}  TOP ${top}`];
  for (let n = 0; n < 8; n++) {
    const at = 16 * ((top + n) & 7);
    const tag = (word("FTW") >> (2 * ((top + n) & 7))) & 3;
    const state = ["valid", "zero", "special", "empty"][tag];
    lines.push(
      `ST${n} ${backwards(registers.subarray(at + 8, at + 10))} ${backwards(registers.subarray(at, at + 8))} ${state}`,
    );
  }
  return lines;
}

/** Little-endian bytes as one number. */
const backwards = (bytes: Uint8Array): string =>
  [...bytes]
    .reverse()
    .map((byte) => hex(byte, 2))
    .join("");

function pairs(values: readonly (readonly [string, bigint])[], perLine = 3): string[] {
  const lines: string[] = [];
  const width = Math.max(...values.map(([name]) => name.length));
  for (let n = 0; n < values.length; n += perLine) {
    lines.push(
      values
        .slice(n, n + perLine)
        .map(([name, value]) => `${name.padEnd(width)} ${hex16(value)}`)
        .join("  "),
    );
  }
  return lines;
}
