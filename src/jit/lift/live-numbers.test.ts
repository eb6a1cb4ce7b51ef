/** The law of live numbers. (What code with them does, the oracle judges: `--executors loaded-numbers`.) */
import { expect, test } from "vitest";
import { print, verify } from "#ir";
import { Mode } from "#vcpu";
import { rows } from "#x86";
import { encode, random } from "../../../test/encodings.ts";
import { BlockLifter } from "./block.ts";
import { takeValues } from "./live-numbers.ts";

for (const codeSize of [64, 32] as const) {
  test(`in ${codeSize}-bit code an instruction is lifted to the same, whatever its live numbers are`, () => {
    const next = random(17);
    const lifter = new BlockLifter(() => {});
    const code = new Uint8Array(32);
    const withImmediate = new Set<string>();
    let displacements = 0;
    const lift = () => {
      const numbers: [from: number, bytes: number][] = [];
      const all = { isLive: (from: number, bytes: number) => numbers.push([from, bytes]) > 0 };
      const { bytes } = lifter.lift(code, 4, 32, codeSize === 64 ? 0 : Mode.code32, 1, false, all);
      expect(verify(lifter.ir, new Set([0]))).toEqual([]);
      return { numbers, bytes, ir: print(lifter.ir.words()) };
    };
    for (const row of rows.filter(
      ({ id, absent, modes }) => id !== 0 && !absent && modes !== (codeSize === 64 ? "32" : "64"),
    )) {
      for (let round = 0; round < 20; round++) {
        code.set(encode(row, codeSize, next), 4);
        const first = lift();
        const { lift: key } = lifter.instruction.row;
        for (const [from, bytes] of first.numbers) {
          if (from + bytes === 4 + lifter.instruction.length && takeValues.has(key)) withImmediate.add(key);
          else displacements++;
          for (let at = from; at < from + bytes; at++) code[at] = Math.floor(next() * 256);
        }
        expect(lift()).toEqual(first);
      }
    }
    expect(displacements > 1000).toBe(codeSize === 64);
    expect([...withImmediate].sort()).toEqual([...takeValues].sort());
  });
}
