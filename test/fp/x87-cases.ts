/** Random x87 states as FSAVE images, and how the runtime executes one instruction on them. */
import { loadRuntime } from "./judge.ts";
import { binary, f80, type Random } from "./operands.ts";

const { functions: f, memory } = loadRuntime();
/** The runtime's memory, and where the vCPU record and a scratch image lie in it. */
export const bytes = new Uint8Array(memory.buffer);
const view = new DataView(memory.buffer);
export const VP = 0x100000;
export const IMAGE = 0x110000;

/** How the runtime executes a form: from the operand's bytes and flags, to new operand bytes; a number it gives is the new flags. */
export type Execute = (operand: DataView, rflags: number) => unknown;
export type Operand = "f32" | "f64" | "int" | "bcd" | undefined;

export function call(name: string, ...values: (number | bigint)[]): number | bigint | undefined {
  const fn = f[name];
  if (!fn) throw new Error(`${name} is not exported`);
  return fn(VP, ...values);
}

/** One case: an FSAVE image, a memory operand and flags. */
export function makeCase(random: Random, c: DataView, operand: Operand): void {
  const masks = random.one(2) ? 0x3f : random.u32() & 0x3f;
  const fcw = 0x40 | masks | (random.below(4) << 10) | (random.pick([3, 3, 3, 2, 0, 1]) << 8);
  const raised = random.one(2) ? 0 : random.u32() & masks;
  const sf = random.one(4) ? 0x40 : 0;
  const fsw = raised | (raised & 1 ? sf : 0) | (random.u32() & 0x4700) | (random.below(8) << 11);
  const empties = random.below(4);
  let tags = 0xffff0000;
  // Physical registers: mostly ST(0..3) full and ST(7) empty, sometimes anything.
  const top = (fsw >> 11) & 7;
  for (let i = 0; i < 8; i++) {
    const empty = empties === 0 ? random.one(3) : i >= 4 + random.below(4) || (empties === 1 && i === 7);
    if (empty) tags |= 3 << (((top + i) & 7) * 2);
  }
  c.setUint32(0, 0xffff0000 | fcw, true);
  c.setUint32(4, 0xffff0000 | fsw, true);
  c.setUint32(8, tags, true);
  for (let i = 12; i < 28; i += 4) c.setUint32(i, 0, true);
  for (let i = 0; i < 8; i++) {
    const [m, se] = f80(random);
    c.setBigUint64(28 + i * 10, m, true);
    c.setUint16(36 + i * 10, se, true);
  }
  if (random.one(12)) for (let i = 0; i < 10; i++) c.setUint8(38 + i, c.getUint8(28 + i)); // ST(1) = ST(0)
  const [m, se] = f80(random);
  c.setBigUint64(112, m, true);
  c.setBigUint64(120, BigInt(se), true);
  if (operand === "f32") c.setUint32(112, Number(binary(random, 23)), true);
  else if (operand === "f64") c.setBigUint64(112, binary(random, 52), true);
  else if (operand === "int") c.setBigInt64(112, BigInt.asIntN(64, random.u64()) >> BigInt(random.below(64)), true);
  else if (operand === "bcd") {
    const digits = random.below(19);
    for (let i = 0; i < 9; i++) c.setUint8(112 + i, 0);
    for (let i = 0; i < digits; i++)
      c.setUint8(112 + (i >> 1), c.getUint8(112 + (i >> 1)) | (random.below(10) << ((i & 1) * 4)));
    c.setUint16(121, random.one(2) ? 0x80 : 0, true);
  }
  c.setUint32(128, 0x202 | (random.u32() & 0x8d5), true);
}

export function show(c: DataView): string {
  const hex = (v: number | bigint, n: number) => v.toString(16).padStart(n, "0");
  const st = [0, 1, 2, 3, 4, 5, 6, 7].map(
    (i) => `${hex(c.getUint16(36 + i * 10, true), 4)}:${hex(c.getBigUint64(28 + i * 10, true), 16)}`,
  );
  return (
    `fcw=${hex(c.getUint16(0, true), 4)} fsw=${hex(c.getUint16(4, true), 4)} tag=${hex(c.getUint16(8, true), 4)} ` +
    `mem=${hex(c.getUint16(120, true), 4)}:${hex(c.getBigUint64(112, true), 16)} rflags=${hex(c.getUint32(128, true), 4)}\n    ${st.join(" ")}`
  );
}

export function runtimeExecutes(c: DataView, execute: Execute): void {
  bytes.set(new Uint8Array(c.buffer, c.byteOffset, 108), IMAGE);
  call("x87_frstor", IMAGE, 0);
  const rflags = c.getUint32(128, true);
  const operand = new DataView(c.buffer, c.byteOffset + 112, 16);
  const newFlags = execute(operand, rflags);
  if (typeof newFlags === "number") c.setUint32(128, newFlags, true);
  call("x87_fnsave", IMAGE, 0);
  for (let i = 0; i < 108; i++) c.setUint8(i, view.getUint8(IMAGE + i));
}
