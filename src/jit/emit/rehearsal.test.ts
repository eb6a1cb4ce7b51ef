import { expect, test } from "vitest";
import { codeBase, guest, hex } from "../../../test/guest-code.ts";
import { passesWithout } from "../passes.ts";
import { emitRegions, memoryPagesOf } from "./region.ts";
import { Rehearsal } from "./rehearsal.ts";

test("regions of any size are compiled without running, and what is no module is an error", () => {
  const g = guest(hex("48 ff c0 ; inc rax\n 48 01 03 ; add [rbx], rax\n eb f8 ; jmp to the beginning"));
  g.run(30n);
  g.vcpu.setU64("RIP", BigInt(codeBase));
  const block = g.engine.runtime.lookup(g.vcpu.vp) >>> 0;
  const codes = (["small", "large"] as const).map((size, n) => ({
    region: g.engine.regions.grow(g.vcpu, block, BigInt(codeBase), 0, size),
    record: 4096 * n,
    vp: [0, g.vcpu.vp][n],
  }));
  const rehearsal = new Rehearsal();
  for (const exact of [false, true]) {
    const { bytes } = emitRegions(g.vcpu.arena.i32, codes, { exact, passes: passesWithout() });
    rehearsal.of(bytes, memoryPagesOf(codes));
    expect(() => rehearsal.of(bytes.slice(0, -1), 1)).toThrow(WebAssembly.CompileError);
  }
});
