/** Random encodings of instructions, for tests of what reads them. */
import type { InstructionRow } from "#x86";

/** A seeded generator (mulberry32): a failure can be run again. */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Some encoding of the row up to its ModRM byte. */
export function encodeHead(row: InstructionRow, codeSize: number, next: () => number): number[] {
  const chance = (p: number): boolean => next() < p;
  const pick = (n: number): number => Math.floor(next() * n);
  const bytes: number[] = [];
  if (chance(0.3)) bytes.push([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65][pick(6)] as number);
  if (row.prefix === -1 ? chance(0.3) : chance(0.1)) bytes.push(0x66);
  if (chance(0.2)) bytes.push(0x67);
  const memory = row.form !== "register" && chance(0.7);
  if (row.lockable && memory && chance(0.3)) bytes.push(0xf0);
  if (row.prefix > 0) bytes.push(row.prefix);
  else if (row.prefix === -1 && chance(0.2)) bytes.push(0xf2 + pick(2));
  if (codeSize === 64 && (row.rexW === 1 || chance(0.5)))
    bytes.push(0x40 | (row.rexW === 1 ? 8 : row.rexW === 0 ? 0 : pick(2) * 8) | pick(8));
  if (row.map > 0) bytes.push(0x0f);
  if (row.map > 1) bytes.push(row.map === 2 ? 0x38 : 0x3a);
  bytes.push(row.opcode | (row.registerInOpcode ? pick(8) : 0));
  if (row.hasModrm) {
    const mod = row.form === "register" || (row.form === "any" && !memory) ? 3 : pick(3);
    bytes.push((mod << 6) | ((row.digit >= 0 ? row.digit : pick(8)) << 3) | (row.fixedRm >= 0 ? row.fixedRm : pick(8)));
  }
  return bytes;
}

/** Fifteen bytes that begin with some encoding of the row. */
export function encode(row: InstructionRow, codeSize: number, next: () => number): Uint8Array {
  const bytes = encodeHead(row, codeSize, next);
  while (bytes.length < 15) bytes.push(Math.floor(next() * 256));
  return Uint8Array.from(bytes.slice(0, 15));
}
