import { expect, test } from "vitest";
import { blockHeader } from "#memory";
import { codeBase, guest, hex } from "../../../test/guest-code.ts";

const call = 0;
const returnPoint = 5;
const otherCall = 9;
const calledFunction = 16;

/**
 * Targets by position in the small region of `call`, whose function is compiled already, and was seen to return to the other call's
 * place alone. `body`: of the function.
 */
function targetsAround(body: string): Map<number, readonly number[]> {
  const g = guest(
    hex(`
      e8 0b000000 ; call the function
      ff c9       ; dec ecx
      0f 0b       ; ud2
      e8 02000000 ; call the function
      0f 0b       ; ud2
      ${body}
      c3          ; ret
    `),
  );
  const runFrom = (offset: number, instructions: bigint): void => {
    g.vcpu.setU64("RIP", BigInt(codeBase + offset));
    g.run(g.vcpu.u64("ICOUNT") + instructions);
  };
  const blockAt = (offset: number): number => {
    g.vcpu.setU64("RIP", BigInt(codeBase + offset));
    return g.engine.runtime.lookup(g.vcpu.vp) >>> 0;
  };
  runFrom(otherCall, 100n);
  runFrom(call, 1n);
  runFrom(returnPoint, 2n);
  g.vcpu.arena.i32[(blockAt(calledFunction) + blockHeader.B_REGION) >> 2] = 1;
  const { blocks } = g.engine.regions.grow(g.vcpu, blockAt(call), BigInt(codeBase + call), 0, "small");
  return new Map(blocks.map(({ delta, targets }) => [delta, targets]));
}

test("a short function that is compiled is in the regions of its callers, and returns to each of them", () => {
  const targets = targetsAround("90".repeat(20));
  expect([...targets.keys()]).toEqual([call, returnPoint, calledFunction]);
  expect(targets.get(calledFunction)).toContain(returnPoint);
});

test("a long function that is compiled is left to its own region", () => {
  expect([...targetsAround("90".repeat(80)).keys()]).not.toContain(calledFunction);
});
