/**
 * Every form that this machine has has a rule; and whatever the encoding, a rule writes IR that the verifier accepts.
 * (What the IR means, the oracle judges.)
 */
import { describe, expect, test } from "vitest";
import { IrBuilder, print, verify } from "#ir";
import { Mode } from "#vcpu";
import { decode, Instruction, type InstructionRow, rows } from "#x86";
import { Lifter } from "./lifter.ts";
import { ruleOfRow } from "./rules.ts";

const ours = rows.filter((row) => row.id !== 0 && !row.absent);

/** A seeded generator (mulberry32): a failure can be run again. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Fifteen bytes that begin with some encoding of the row. */
function encode(row: InstructionRow, codeSize: number, next: () => number): Uint8Array {
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
  while (bytes.length < 15) bytes.push(pick(256));
  return Uint8Array.from(bytes.slice(0, 15));
}

const hex = (bytes: Uint8Array): string => [...bytes].map((b) => b.toString(16).padStart(2, "0")).join(" ");

describe("lifting", () => {
  test("has a rule for every form", () => {
    expect(ours.length).toBeGreaterThan(900);
    expect(ours.filter((row) => ruleOfRow[row.id] === undefined).map((row) => `${row.code} ${row.mnemonic}`)).toEqual(
      [],
    );
  });

  for (const codeSize of [64, 32, 16] as const) {
    test(`writes IR that the verifier accepts, for any encoding in ${codeSize}-bit code`, () => {
      const next = random(codeSize);
      const i = new Instruction();
      const ir = new IrBuilder();
      const l = new Lifter(ir, i);
      const missed: string[] = [];
      for (const row of ours) {
        if (row.modes === (codeSize === 64 ? "32" : "64") || (row.rexW === 1 && codeSize !== 64)) continue;
        let lifted = 0;
        for (let attempt = 0; attempt < 60; attempt++) {
          const bytes = encode(row, codeSize, next);
          if (decode(bytes, 0, 15, codeSize, i) !== 0 || i.row.lift !== row.lift) continue;
          lifted++;
          const segmented = codeSize !== 64 && next() < 0.5 ? Mode.segmented : 0;
          l.beginBlock((codeSize === 64 ? 0 : codeSize === 32 ? Mode.code32 : Mode.code16) | segmented);
          l.beginInstruction(7, 2);
          ruleOfRow[i.row.id]?.(l, i);
          if (!l.ended) l.jump(l.next);
          const problems = verify(ir, new Set([0]));
          if (problems.length > 0)
            expect.fail(`${row.code} ${row.mnemonic} (${hex(bytes)})\n${print(ir.words())}\n${problems.join("\n")}`);
          expect(ir.length).toBeLessThan(2048);
        }
        if (lifted === 0) missed.push(row.code);
      }
      expect(missed).toEqual([]);
    });
  }
});
