/**
 * Every form that this machine has has a rule; and whatever the encoding, a rule writes IR that the verifier accepts.
 * (What the IR means, the oracle judges.)
 */
import { describe, expect, test } from "vitest";
import { IrBuilder, print, verify } from "#ir";
import { Mode } from "#vcpu";
import { decode, Instruction, rows } from "#x86";
import { encode, random } from "../../../test/encodings.ts";
import { Lifter } from "./lifter.ts";
import { ruleOfRow } from "./rules.ts";

const ours = rows.filter((row) => row.id !== 0 && !row.absent);

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
