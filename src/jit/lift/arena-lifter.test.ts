/** Lifting by example writes what the rules write. */
import { describe, expect, test } from "vitest";
import { opRows } from "#ir";
import { lifterFields } from "#memory";
import { Mode } from "#vcpu";
import { decode, Instruction, rows } from "#x86";
import { encodeHead, random } from "../../../test/encodings.ts";
import { guest } from "../../../test/guest-code.ts";
import { passesWithout } from "../passes.ts";
import { ArenaLifter } from "./arena-lifter.ts";
import { BlockLifter } from "./block.ts";

const hexOf = (bytes: Uint8Array): string => [...bytes].map((b) => b.toString(16).padStart(2, "0")).join(" ");

function lifters(off: readonly "dead-flags"[] = []) {
  const { arena, engine } = guest(new Uint8Array());
  const passes = passesWithout(...off);
  const base = arena.allot(lifterFields.Y_TOTAL);
  const target = arena.allot(128 * 1024);
  const page = arena.allot(4096);
  const fast = new ArenaLifter(arena, engine.runtime, base, new BlockLifter(() => {}, passes), passes);
  const slow = new BlockLifter(() => {}, passes);
  /** Lifts the bytes, which lie at the end of a page, both ways. */
  const both = (bytes: Uint8Array, mode: number) => {
    const at = page + 4096 - bytes.length;
    arena.u8.set(bytes, at);
    const byRule = { ...slow.lift(arena.u8, at, page + 4096, mode, Number.POSITIVE_INFINITY, false) };
    const expected = Array.from(slow.ir.words());
    const { irBytes, ...byExample } = fast.lift(at, page + 4096, mode, target);
    const found = Array.from(arena.i32.subarray(target >> 2, (target + irBytes) >> 2));
    return { byRule, expected, byExample, found };
  };
  return { fast, both };
}

describe("lifting by example", () => {
  for (const off of [[], ["dead-flags"]] as const) {
    test(`gives the operations of the rules${off.length > 0 ? ", flags and all" : ""}`, () => {
      const { fast, both } = lifters(off);
      const next = random(11 + off.length);
      const pick = (n: number): number => Math.floor(next() * n);
      const i = new Instruction();
      const ours = rows.filter((row) => row.id !== 0 && !row.absent && row.modes !== "32");
      let instructions = 0;
      for (let round = 0; round < 400; round++) {
        // A few heads, which come again and again with other numbers behind them.
        const mode = pick(3) | (pick(8) === 0 ? Mode.noFpu : 0) | (pick(16) === 0 ? Mode.noSse : 0);
        const heads = Array.from({ length: 6 }, () => {
          const row = ours[pick(ours.length)];
          const head = encodeHead(row, 64, next);
          return next() < 0.5 ? head : head.filter((byte) => ![0x26, 0x2e, 0x36, 0x3e, 0x67, 0xf0].includes(byte));
        });
        const sib = pick(256);
        for (let block = 0; block < 10; block++) {
          const bytes: number[] = [];
          for (let n = 0; n < 12; n++) {
            const head = heads[pick(heads.length)];
            const kind = next();
            const tail = Array.from({ length: 15 }, () => (kind < 0.2 ? 0 : kind < 0.3 ? 0xff : pick(256)));
            if (next() < 0.8) tail[0] = sib;
            const whole = Uint8Array.from([...head, ...tail].slice(0, 15));
            decode(whole, 0, 15, 64, i);
            bytes.push(...whole.subarray(0, i.length));
          }
          while (next() < 0.9) bytes.push(0x90);
          const code = Uint8Array.from(bytes);
          const { byRule, expected, byExample, found } = both(code, mode);
          instructions += byRule.count;
          if (byRule.crosses && byExample.crosses) continue;
          expect(byExample, hexOf(code)).toEqual(byRule);
          const at = expected.findIndex((word, n) => word !== found[n]);
          expect(at, `${hexOf(code)}: ${opRows[(expected[at] ?? 0) & 0xffff]?.name}`).toBe(-1);
          expect(found.length).toBe(expected.length);
        }
      }
      expect(fast.stats.templates).toBeGreaterThan(500);
      expect(instructions - fast.stats.byRule).toBeGreaterThan(instructions / 6);
    });
  }
});
