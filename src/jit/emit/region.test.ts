import { expect, test } from "vitest";
import { codeBase, guest, hex } from "../../../test/guest-code.ts";

/** Three loops, one in the other; the second one may also be entered behind its beginning. */
const nested = hex(`
  31 c0          ;  0  xor eax, eax
  bb 05000000    ;  2  mov ebx, 5
  b9 03000000    ;  7  mov ecx, 3: the outer loop's top
  f6 c3 01       ;  c  test bl, 1
  75 03          ;  f  jnz 14: into the second loop's middle
  83 c0 11       ; 11  add eax, 17: the second loop's top
  ba 04000000    ; 14  mov edx, 4
  01 d0          ; 19  add eax, edx: the inner loop's top
  69 c0 01010000 ; 1b  imul eax, eax, 257
  ff ca          ; 21  dec edx
  75 f4          ; 23  jnz 19
  ff c9          ; 25  dec ecx
  75 e8          ; 27  jnz 11
  ff cb          ; 29  dec ebx
  75 da          ; 2b  jnz 7
  eb d1          ; 2d  jmp 0
`);

for (const exact of [true, false]) {
  test(`loops in loops go on where they were left, wherever that was${exact ? ", to the instruction" : ""}`, () => {
    const interpreted = guest(nested);
    const compiled = guest(nested, { hotThreshold: 2, exact });
    for (let slice = 1; slice < 1500; slice++) {
      compiled.run(compiled.vcpu.u64("ICOUNT") + BigInt(1 + (slice % 41)));
      // Where budgets are not exact, the interpreter's goes as far.
      interpreted.run(compiled.vcpu.u64("ICOUNT"));
      const [here, there] = [compiled, interpreted].map(({ vcpu, engine }) => ({
        rip: vcpu.u64("RIP") - BigInt(codeBase),
        registers: [0, 1, 2, 3].map((n) => vcpu.register(n)),
        flags: engine.runtime.flags(vcpu.vp),
      }));
      expect(here).toEqual(there);
    }
    expect(compiled.vcpu.u64("COMPILED")).toBeGreaterThan(15_000n);
  });
}
