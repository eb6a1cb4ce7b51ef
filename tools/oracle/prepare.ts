/**
 * What instructions need that their operands do not say: counts, implied addresses, return addresses, selectors,
 * control words. Each function gives registers and memory values with which the instruction mostly does its work, and
 * sometimes does not.
 */
import type { InstructionRow } from "#x86";
import { type CaseBuilder, type Fixup, RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP } from "./builder.ts";
import { emptyState } from "./case.ts";
import { fcwValue, fillX87, fillXmm, integerValue, mxcsrValue } from "./values.ts";

/** What was chosen for an instruction before its operands. */
export interface Choice {
  readonly row: InstructionRow;
  readonly operandSize: number;
  readonly addressSize: number;
  /** F2 or F3 of a string instruction, or 0. */
  readonly repeat: number;
  /** Segment base to take off an address, 0 where flat. */
  readonly segmentBase: bigint;
}

/** Bytes of the memory operands whose size no operand kind says. */
export function memorySize(row: InstructionRow, operandSize: number): number | undefined {
  switch (row.mnemonic) {
    case "fxsave":
    case "fxrstor":
      return 512;
    case "xsave":
    case "xrstor":
      return 576;
  }
  if (row.operands.includes("Menv")) return operandSize === 2 ? 14 : 28;
  if (row.operands.includes("Mfst")) return operandSize === 2 ? 94 : 108;
  if (row.operands.includes("Mp")) return operandSize + 2;
  if (row.operands.includes("Ma")) return operandSize * 2;
  if (row.operands.includes("Ms")) return 10;
  return undefined;
}

/** Flags to be popped. TF now and then: a trap after the next instruction. */
const flagsValue = (b: CaseBuilder): bigint =>
  BigInt(0x202 | (b.random.u32() & 0xcd5) | (b.random.chance(5) ? 0x100 : 0) | (b.random.chance(5) ? 0x20_0000 : 0));

/** A selector: mostly one that user mode may load. */
function selector(b: CaseBuilder): bigint {
  const { random } = b;
  return BigInt(
    random.chance(75) ? random.pick([0, 0x2b, 0x2b, 0x33, 0x23]) : random.pick([3, 0x28, 0x63, 0x2f, 0xfff8, 0x1003]),
  );
}

const codeSelector = (b: CaseBuilder): bigint => (b.mode === 64 ? 0x33n : 0x23n);

/** The stack pointer for an instruction that uses the stack; sometimes near a page's end. */
function prepareStack(b: CaseBuilder): void {
  const { random } = b;
  const edge = random.chance(6) ? random.pick([0x1000_4000, 0x1000_5000]) + 4 * (random.below(8) - 4) : 0;
  b.set(RSP, BigInt(edge || 0x1000_4400 + 8 * random.below(256) + (random.chance(10) ? random.below(8) : 0)));
}

/** An address of `size` bytes of data in an implied register. */
function prepareAddress(
  b: CaseBuilder,
  choice: Choice,
  register: number,
  size: number,
  writes: boolean,
  bias = 0n,
): void {
  const address = b.dataAddress(size, 1, writes);
  if (!b.isFree(register)) return;
  b.patchValue(address, size, false);
  const offset = BigInt.asUintN(choice.addressSize * 8, address - choice.segmentBase - bias);
  const noise = choice.addressSize === 4 && b.mode === 64 ? b.random.u64() & ~0xffff_ffffn : 0n;
  b.set(register, offset | noise);
}

function prepareString(b: CaseBuilder, choice: Choice): void {
  const { random } = b;
  const { row, operandSize } = choice;
  if (choice.repeat) {
    b.set(RCX, random.chance(90) ? BigInt(random.below(24)) : integerValue(random));
    b.written(RCX);
  }
  const reads = row.operands.some((kind) => kind.startsWith("X"));
  const stores = row.operands.some((kind) => kind.startsWith("Y"));
  if (reads) prepareAddress(b, choice, RSI, operandSize, false);
  if (stores) prepareAddress(b, { ...choice, segmentBase: 0n }, RDI, operandSize, row.operands[0].startsWith("Y"));
  const [source, destination] = [b.known(RSI), b.known(RDI)];
  // CMPS and SCAS should run for a while: the same bytes on both sides, or the accumulator's.
  if (row.flagsDepend === "rep" && destination !== undefined && random.chance(50)) {
    const same = random.bytes(16).fill(random.chance(50) ? 0 : 0x5a);
    b.patch(BigInt.asUintN(32, destination), same);
    if (reads && source !== undefined) b.patch(BigInt.asUintN(32, source + choice.segmentBase), same);
  }
  if (reads) b.written(RSI);
  if (stores) b.written(RDI);
}

/** Registers that are written without being an operand. */
const impliedWrites: Readonly<Record<string, readonly number[]>> = {
  mul: [RAX, RDX],
  "imul-wide": [RAX, RDX],
  div: [RAX, RDX],
  idiv: [RAX, RDX],
  cbw: [RAX],
  cwd: [RDX],
  cmpxchg: [RAX],
  cmpxchg8b: [RAX, RDX],
  cmpxchg16b: [RAX, RDX],
  xlat: [RAX],
  lahf: [RAX],
  salc: [RAX],
  daa: [RAX],
  das: [RAX],
  aaa: [RAX],
  aas: [RAX],
  aam: [RAX],
  aad: [RAX],
  loop: [RCX],
  loope: [RCX],
  loopne: [RCX],
  enter: [RBP, RSP],
  leave: [RBP, RSP],
  pusha: [RSP],
  popa: [0, 1, 2, 3, 4, 5, 6, 7],
  pcmpestri: [RCX],
  pcmpistri: [RCX],
};

const stackMnemonics = new Set([
  ...["push", "pop", "pusha", "popa", "pushf", "popf", "call", "callf", "ret", "retf", "iret", "enter", "leave"],
]);

/** What `call`, `ret` and the far forms find where they look for an address; a later instruction of the case. */
function prepareReturn(b: CaseBuilder, choice: Choice, fixups: Fixup[]): boolean {
  const rsp = b.known(RSP);
  if (rsp === undefined) return false;
  const { mnemonic } = choice.row;
  const size = choice.operandSize;
  const slot = (n: number): bigint => rsp + BigInt(n * size);
  if (choice.row.lift === "pop-sreg") {
    if (b.random.chance(90)) b.patchInteger(rsp, selector(b), size);
    return true;
  }
  if (mnemonic === "popf") {
    b.patchInteger(rsp, flagsValue(b), size);
    return true;
  }
  fixups.push({ kind: "memory", address: Number(rsp), size, target: b.forwardTarget() });
  if (mnemonic !== "ret") b.patchInteger(slot(1), codeSelector(b), size);
  if (mnemonic === "iret") {
    b.patchInteger(slot(2), flagsValue(b), size);
    b.patchInteger(slot(3), BigInt(0x1000_4400 + 8 * b.random.below(128)), size);
    b.patchInteger(slot(4), 0x2bn, size);
  }
  return true;
}

/** Registers and memory of an instruction before its operands are chosen; false: another form, please. */
export function prepare(b: CaseBuilder, choice: Choice, fixups: Fixup[]): boolean {
  const { random } = b;
  const { row, operandSize } = choice;
  const { mnemonic } = row;
  if (row.operands.some((kind) => /^[XY][bvz]$/.test(kind))) prepareString(b, choice);
  if (stackMnemonics.has(mnemonic)) {
    prepareStack(b);
    if (mnemonic === "enter" || mnemonic === "leave") {
      b.set(RBP, BigInt(0x1000_4400 + 8 * random.below(256)));
    }
    const returns =
      row.lift === "pop-sreg" ||
      mnemonic === "popf" ||
      mnemonic === "ret" ||
      mnemonic === "retf" ||
      mnemonic === "iret";
    if (returns && !prepareReturn(b, choice, fixups)) return false;
    b.written(RSP);
  }
  if (row.operands.includes("CL")) {
    const narrow = row.flagsDepend === "double-shift" && operandSize === 2;
    const count = narrow ? random.below(17) : random.chance(80) ? random.below(70) : random.below(256);
    if (!b.set(RCX, BigInt(count) | (integerValue(random) & ~0xffn)) && narrow) return false;
  }
  switch (mnemonic) {
    case "div":
    case "idiv":
      if (random.chance(70)) {
        const negative = mnemonic === "idiv" && random.chance(30);
        if (operandSize === 1) b.set(RAX, negative ? 0xff80n + BigInt(random.below(128)) : BigInt(random.below(512)));
        else b.set(RDX, negative ? (1n << 64n) - 1n : BigInt(random.chance(80) ? 0 : random.below(4)));
      }
      break;
    case "xlat":
      prepareAddress(b, choice, RBX, 1, false, (b.known(RAX) ?? 0n) & 0xffn);
      break;
    case "loop":
    case "loope":
    case "loopne":
    case "jcxz":
      if (random.chance(70)) b.set(RCX, BigInt(random.below(3)) | (random.chance(30) ? 0xffff_ffff_0000_0000n : 0n));
      break;
    case "maskmovq":
    case "maskmovdqu":
      prepareAddress(b, choice, RDI, mnemonic === "maskmovq" ? 8 : 16, true);
      break;
    case "pcmpestri":
    case "pcmpestrm":
      for (const register of [RAX, RDX])
        if (random.chance(80)) b.set(register, BigInt.asUintN(64, BigInt(random.below(24) - 3)));
      break;
    case "xsave":
    case "xrstor":
      if (!b.set(RAX, BigInt(random.below(4))) || !b.set(RDX, 0n)) return false;
      break;
  }
  for (const register of impliedWrites[row.lift] ?? impliedWrites[mnemonic] ?? []) b.written(register);
  return true;
}

/** A register operand that should not be just anything. */
export function prepareRegister(b: CaseBuilder, choice: Choice, register: number, fixups: Fixup[]): void {
  const { random } = b;
  switch (choice.row.mnemonic) {
    case "call":
    case "jmp":
      if (b.set(register, 0n)) fixups.push({ kind: "register", register, target: b.forwardTarget() });
      break;
    case "wrfsbase":
    case "wrgsbase":
      if (random.chance(75))
        b.set(register, BigInt.asUintN(64, BigInt.asIntN(47, integerValue(random))) & ((1n << 47n) - 1n));
      break;
    case "lar":
    case "lsl":
    case "verr":
    case "verw":
    case "arpl":
      // The limit of one descriptor, which any number may happen to be, is the number of the CPU.
      if (choice.row.mnemonic === "lsl" || random.chance(80)) b.set(register, selector(b));
      break;
    case "mov":
      if (choice.row.operands[0] === "Sw") b.set(register, selector(b));
      break;
    case "div":
    case "idiv":
      if (random.chance(30)) b.set(register, integerValue(random) | 0x80n);
      break;
  }
}

/** The bit number of BT and its like with memory: near the operand, on both sides. */
export function prepareBitOffset(b: CaseBuilder, choice: Choice, register: number): void {
  if (/^bt[src]?$/.test(choice.row.mnemonic) && (choice.segmentBase !== 0n || b.random.chance(85))) {
    const bits = choice.operandSize * 8;
    b.set(register, BigInt.asUintN(bits, BigInt(b.random.below(4096) - 2048)) | (b.random.u64() << BigInt(bits)));
  }
}

/** An FXSAVE image, as its own bytes. */
function randomImage(b: CaseBuilder): Uint8Array {
  const state = emptyState();
  fillX87(b.random, state);
  fillXmm(b.random, state);
  // A reserved bit; but for MXCSR.MM, which some processors have.
  if (b.random.chance(5)) state.fx[26] = 1 << b.random.pick([0, 2, 3, 4, 5, 6, 7]);
  return state.fx;
}

/** An x87 environment in its protected-mode layout, registers after it. */
function randomEnvironment(b: CaseBuilder, operandSize: number): Uint8Array {
  const fx = randomImage(b);
  const wide = operandSize === 2 ? 2 : 4;
  const bytes = new Uint8Array(7 * wide + 80);
  const tags = b.random.chance(50) ? 0 : b.random.below(0x10000);
  for (const [n, value] of [fx[0] | (fx[1] << 8), fx[2] | (fx[3] << 8), tags].entries()) {
    bytes[n * wide] = value & 0xff;
    bytes[n * wide + 1] = value >> 8;
  }
  for (let i = 0; i < 8; i++) bytes.set(fx.subarray(32 + 16 * i, 42 + 16 * i), 7 * wide + 10 * i);
  return bytes;
}

/** The contents of a memory operand that should not be just anything. */
export function prepareContents(b: CaseBuilder, choice: Choice, address: bigint, fixups: Fixup[]): void {
  const { random } = b;
  const { row, operandSize } = choice;
  const target = (size: number): void => {
    if (address > 0x1000_0000n && address < 0x1000_5000n) {
      fixups.push({ kind: "memory", address: Number(address), size, target: b.forwardTarget() });
    }
  };
  if (row.operands[0] === "Sw") {
    b.patchInteger(address, selector(b), 2);
    return;
  }
  switch (row.mnemonic) {
    case "call":
    case "jmp":
      target(operandSize);
      return;
    case "callf":
    case "jmpf":
      target(operandSize);
      b.patchInteger(address + BigInt(operandSize), codeSelector(b), 2);
      return;
    case "les":
    case "lds":
    case "lss":
    case "lfs":
    case "lgs":
      b.patchInteger(address + BigInt(operandSize), selector(b), 2);
      return;
    case "lar":
    case "lsl":
    case "verr":
    case "verw":
    case "arpl":
      b.patchInteger(address, selector(b), 2);
      return;
    case "cmpxchg":
      if (random.chance(50)) b.patchInteger(address, b.known(RAX) ?? 0n, operandSize);
      return;
    case "cmpxchg8b":
    case "cmpxchg16b": {
      const half = row.mnemonic === "cmpxchg8b" ? 4 : 8;
      if (!random.chance(60)) return;
      b.patchInteger(address, b.known(RAX) ?? 0n, half);
      b.patchInteger(address + BigInt(half), b.known(RDX) ?? 0n, half);
      return;
    }
    case "bound":
      b.patchInteger(address, BigInt(-random.below(1000)), operandSize);
      b.patchInteger(address + BigInt(operandSize), integerValue(random, 31), operandSize);
      return;
    case "ldmxcsr":
      b.patchInteger(address, BigInt(mxcsrValue(random) | (random.chance(6) ? 1 << (18 + random.below(14)) : 0)), 4);
      return;
    case "fldcw":
      b.patchInteger(address, BigInt(fcwValue(random)), 2);
      return;
    case "fldenv":
      b.patch(address, randomEnvironment(b, operandSize).subarray(0, operandSize === 2 ? 14 : 28));
      return;
    case "frstor":
      b.patch(address, randomEnvironment(b, operandSize));
      return;
    case "fxrstor":
      b.patch(address, randomImage(b));
      return;
    case "xrstor": {
      const bytes = new Uint8Array(576);
      bytes.set(randomImage(b));
      bytes[512] = random.below(4);
      // What must be zero on every processor: components that none has, and the header's reserved bytes.
      if (random.chance(5)) bytes[random.pick([515, 516, 517, 518, 528, 531, 535])] |= 1 << random.below(8);
      b.patch(address, bytes);
      return;
    }
  }
}
